"""ADAPTER. What the doctor looks at: PostgreSQL and RabbitMQ, as Tocsin meets them. Nothing is changed."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import aio_pika
import aiormq
import asyncpg
from aio_pika.abc import AbstractRobustConnection
from yarl import URL

from tocsin_common import broker, diagnosis, management, revisions, topology
from tocsin_common.database import CONNECTION_ERRORS, plain_url
from tocsin_common.diagnosis import Finding
from tocsin_common.errors import UnavailableError
from tocsin_common.identity import process_name
from tocsin_common.settings_forms import rabbitmq_nodes

TIMEOUT_S = 5.0
SECOND = timedelta(seconds=1)

_LOGIN_ERRORS = (aiormq.exceptions.AuthenticationError, aiormq.exceptions.ProbableAuthenticationError)

Now = Callable[[], datetime]


async def look_at_postgresql(database_url: str, now: Now) -> AsyncIterator[Finding]:
    """The connection, the server, the tables and its clock."""
    try:
        connection = await asyncpg.connect(
            plain_url(database_url), timeout=TIMEOUT_S, command_timeout=TIMEOUT_S,
            server_settings={"application_name": process_name("doctor")},
        )  # fmt: skip
    except asyncpg.PostgresError as error:
        yield diagnosis.refusal(error.sqlstate)
        return
    except (OSError, TimeoutError, ValueError, *CONNECTION_ERRORS) as error:
        yield Finding("PostgreSQL", "WRONG", f"{_no_answer(error)}: see host and port in DATABASE_URL")
        return
    try:
        async for finding in _ask_postgresql(connection, now):
            yield finding
    except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
        yield Finding("PostgreSQL", "WRONG", f"it broke off ({type(error).__name__}): see the server's log")
    finally:
        connection.terminate()


async def look_at_rabbitmq(rabbitmq_url: str, management_url: str, now: Now) -> AsyncIterator[Finding]:
    """The connection, the exchanges and queues; with the management API their leaders and its clock."""
    try:
        connection = await broker.connect(rabbitmq_url, name=process_name("doctor"), timeout_s=0)
    except (UnavailableError, *broker.BROKER_ERRORS) as error:
        yield Finding("RabbitMQ", "WRONG", _refused_by_rabbitmq(error.__cause__ or error))
        return
    async with connection:
        yield Finding("RabbitMQ", "ok", "answers, and takes the login")
        for name in topology.EXCHANGES:
            yield diagnosis.exchange(name, (await _declare(connection, "exchange", name))[0])
        for name, arguments in topology.queue_arguments().items():
            yield diagnosis.queue(name, *await _declare(connection, "queue", name, arguments))
    nodes = [*map(URL, rabbitmq_nodes(rabbitmq_url))]
    async for finding in management.look(nodes, management_url, now, TIMEOUT_S):
        yield finding


async def _ask_postgresql(connection: asyncpg.Connection, now: Now) -> AsyncIterator[Finding]:
    before = now()
    row = await connection.fetchrow(
        "SELECT current_setting('server_version_num')::integer AS version, pg_is_in_recovery() AS in_recovery,"
        " clock_timestamp() AS now"
    )
    after = now()
    yield diagnosis.server(row["version"], in_recovery=row["in_recovery"])
    try:
        yield diagnosis.tables(await _revision(connection), revisions.known())
    except asyncpg.InsufficientPrivilegeError:
        yield Finding("tables", "unknown", "this user may not read which they are: ask as the API")
    uncertain_s = (after - before) / 2 / SECOND
    yield diagnosis.clock("PostgreSQL", (before - row["now"]) / SECOND + uncertain_s, uncertain_s)


async def _revision(connection: asyncpg.Connection) -> str | None:
    if await connection.fetchval("SELECT to_regclass('alembic_version') IS NULL"):
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


async def _declare(
    connection: AbstractRobustConnection, kind: str, name: str, arguments: dict[str, Any] | None = None
) -> tuple[int | None, str]:
    """Ask whether it is there, and only then declare it, which compares: nothing is made. Code of a refusal."""
    try:
        async with asyncio.timeout(TIMEOUT_S), _channel(connection) as channel:
            if kind == "exchange":
                await channel.exchange_declare(name, passive=True)  # of its kind it says nothing
            else:
                await channel.queue_declare(name, passive=True)
                await channel.queue_declare(name, durable=True, arguments=arguments)
    except aiormq.exceptions.ChannelNotFoundEntity as error:
        return 404, str(error)
    except aiormq.exceptions.ChannelAccessRefused as error:
        return 403, str(error)
    except aiormq.exceptions.ChannelPreconditionFailed as error:
        return 406, str(error)
    except broker.BROKER_ERRORS as error:
        return 0, type(error).__name__
    return None, ""


@asynccontextmanager
async def _channel(connection: AbstractRobustConnection) -> AsyncIterator[Any]:
    """One for each question: RabbitMQ closes it with a no. A plain one: a robust one would open again."""
    transport = connection.transport
    if transport is None:
        raise aio_pika.exceptions.ChannelInvalidStateError("not connected")
    channel = await transport.connection.channel()
    try:
        yield channel
    finally:
        with suppress(*broker.BROKER_ERRORS):
            await channel.close()


def _no_answer(error: BaseException) -> str:
    """In words that repeat nothing of an address."""
    kinds: list[tuple[type[BaseException], str]] = [
        (TimeoutError, f"it does not answer within {TIMEOUT_S:g} s"),
        (ConnectionRefusedError, "nothing listens at its address"),
        (socket.gaierror, "the host's name is not known"),
        (ssl.SSLError, "TLS failed"),
    ]
    chain = _chain(error)
    known = (words for kind, words in kinds if any(isinstance(each, kind) for each in chain))
    return next(known, f"no answer ({type(chain[-1]).__name__})")


def _refused_by_rabbitmq(error: BaseException) -> str:
    chain = _chain(error)
    if any(isinstance(each, _LOGIN_ERRORS) for each in chain):
        return "it refuses the login: see user and password in RABBITMQ_URL"
    # What aiormq makes of a server that took the login and then hangs up.
    if any("Connection.Close" in str(each) for each in chain):
        return "it has no such virtual host, or this user may not use it: see the path in RABBITMQ_URL"
    return f"{_no_answer(error)}: see host and port in RABBITMQ_URL"


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what it came of."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    return chain
