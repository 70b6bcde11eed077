"""ADAPTER. How Tocsin's processes connect to PostgreSQL."""

import asyncio
import time
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import structlog

from tocsin_common import metrics, revisions
from tocsin_common.errors import UnavailableError

RETRY_S = 0.5
COMMAND_TIMEOUT_S = 30
CLOSE_TIMEOUT_S = 1

CONNECTION_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a query in flight may end in when its server is killed
    asyncpg.OperatorInterventionError,  # shutting down, starting up, cancelled by an operator
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.TransactionRollbackError,  # a deadlock: nothing was changed
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby, during a failover: it takes no changes,
    asyncpg.ObjectNotInPrerequisiteStateError,  # and does not say where its log ends while it recovers
)
"""What means that PostgreSQL cannot do it now and may later; everything else is a bug or a data error."""

DATA_ERRORS = (asyncpg.DataError, asyncpg.ProgramLimitExceededError, ValueError)
"""What means that a value cannot be stored or compared; asyncpg raises the last for arguments it cannot encode.

The second is of a text that is too long for an index.

Catch these first: asyncpg's own ValueError is an InterfaceError too.
"""

_log = structlog.get_logger(__name__)


def plain_url(database_url: str) -> str:
    """Without the suffixes that other tools put there: `?schema=` and a SQLAlchemy driver."""
    parts = urlsplit(database_url)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "schema"]
    return urlunsplit(parts._replace(scheme=parts.scheme.partition("+")[0], query=urlencode(query)))


async def open_pool(
    database_url: str, *, size: int, name: str, timeout_s: float, idle_in_transaction_s: float = 2
) -> asyncpg.Pool:
    """A pool of at most `size` connections that show as `name` in pg_stat_activity.

    Waits up to `timeout_s` for PostgreSQL to answer, then raises UnavailableError; at once where it refuses.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            pool = await asyncpg.create_pool(
                plain_url(database_url),
                min_size=2,
                max_size=size,
                timeout=5,
                command_timeout=COMMAND_TIMEOUT_S,
                reset=_keep_session,
                server_settings={
                    "application_name": name,
                    # A process that freezes inside a transaction must not keep others from its rows.
                    "idle_in_transaction_session_timeout": str(round(idle_in_transaction_s * 1000)),
                    "tcp_keepalives_idle": "5",
                    "tcp_keepalives_interval": "2",
                    "tcp_keepalives_count": "3",
                    "timezone": "UTC",
                    # To compile a statement over a hundred partitions takes seconds, to run it milliseconds.
                    "jit": "off",
                },
            )
        except CONNECTION_ERRORS as error:
            if time.monotonic() > deadline:
                raise UnavailableError(f"PostgreSQL did not answer within {timeout_s:g} s: {error}") from error
            _log.warning("database.unavailable", error=str(error))
            await asyncio.sleep(RETRY_S)
        except asyncpg.PostgresError as error:  # a login or a database that is not there
            raise UnavailableError(f"PostgreSQL refuses the connection: {error}") from error
        else:
            metrics.watch_pool(pool)
            return pool


async def _keep_session(_: asyncpg.Connection) -> None:
    """Nothing is left in a session: who sets something in one ends it. To take back nothing takes a round trip.

    asyncpg has rolled back by now what was left of a transaction.
    """


async def close_pool(pool: asyncpg.Pool) -> None:
    """Close it within CLOSE_TIMEOUT_S, even where a statement does not end."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await pool.close()
    except CONNECTION_ERRORS:
        pool.terminate()


async def is_migrated(pool: asyncpg.Pool) -> bool:
    """Whether the tables are there, as this release or a newer one has them."""
    try:
        if await pool.fetchval("SELECT to_regclass('alembic_version') IS NULL"):
            return False
        revision = await pool.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.InsufficientPrivilegeError:  # a service's user gets its rights with the tables
        return False
    return revisions.is_current(revision, revisions.known())


async def wait_until_migrated(pool: asyncpg.Pool, *, timeout_s: float) -> None:
    """Return once `is_migrated`; UnavailableError after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not await is_migrated(pool):
        if time.monotonic() > deadline:
            raise UnavailableError("the database has no tables of this release yet: run `tocsin-api migrate`")
        _log.warning("database.not_migrated")
        await asyncio.sleep(RETRY_S)
