"""The doctor at real servers, sound ones and broken ones, and as the commands that people call."""

import asyncio
import base64
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import aio_pika
import asyncpg
import pytest

from environment import INHERITED
from tocsin_common import doctor, revisions, topology
from tocsin_common.diagnosis import Finding
from tocsin_common.settings import ApiSettings, SchedulerSettings, SenderSettings
from tocsin_local.urls import StackUrls
from waiting import WAIT_S

BIN = Path(sys.executable).parent
WRONG_PASSWORD = "a-password-that-nobody-may-see"  # noqa: S105 - of nobody
API_KEY = "the-key-of-the-api"
COMMANDS = [("tocsin-api", "doctor"), ("tocsin-dispatcher", "doctor")]
SERVERS = [("DATABASE_URL", "PostgreSQL"), ("RABBITMQ_URL", "RabbitMQ")]
KINDS = {"an API": ApiSettings, "a scheduler": SchedulerSettings, "a sender": SenderSettings}


@pytest.fixture
def environment(database_url: str, rabbitmq_url: str, sealing_keys: str) -> dict[str, str]:
    """All settings that are needed, right ones."""
    return {
        "DATABASE_URL": database_url,
        "RABBITMQ_URL": rabbitmq_url,
        "SEALING_KEYS": sealing_keys,
        "API_KEY": API_KEY,
    }


@pytest.fixture
def topology_is_there(rabbitmq_url: str) -> Callable[..., Awaitable[None]]:
    """Make it, as a scheduler does; other arguments for some queues."""

    async def make(**others: dict[str, Any]) -> None:
        async with await aio_pika.connect(rabbitmq_url) as connection, connection.channel() as channel:
            for name, arguments in others.items():
                await channel.declare_queue(name, durable=True, arguments=arguments)
                return
            await topology.declare_jobs(channel)
            await topology.declare_changes(channel)

    return make


async def findings(environment: dict[str, str], servers: StackUrls, *, ahead_s: float = 0.0) -> dict[str, Finding]:
    def now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=ahead_s)

    examining = doctor.examine(KINDS, environment, management_url=servers.management_url, now=now)
    async with asyncio.timeout(WAIT_S):
        return {finding.what: finding async for finding in examining}


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", f":{password}@")))


async def test_all_is_well_where_tocsin_runs(environment, servers, topology_is_there):
    await topology_is_there()

    found = await findings(environment, servers)

    assert {finding.state for finding in found.values()} == {"ok"}
    assert {f"queue {name}" for name in topology.queue_arguments()} <= found.keys()
    assert {
        "PostgreSQL",
        "tables",
        "clock of PostgreSQL",
        "RabbitMQ",
        "queue leaders",
        "clock of RabbitMQ",
    } <= found.keys()


async def test_the_doctor_makes_nothing(environment, servers, look_up):
    found = await findings(environment, servers)

    assert "is missing: start" in found[f"queue {topology.WORK_QUEUE}"].says
    assert "is missing: start" in found[f"exchange {topology.JOBS_EXCHANGE}"].says
    assert await look_up("queues") == []
    assert not [each for each in await look_up("exchanges") if each["name"].startswith("tocsin")]


async def test_one_queue_that_is_missing_is_named(environment, servers, topology_is_there, rabbitmq_url):
    await topology_is_there()
    async with await aio_pika.connect(rabbitmq_url) as connection, connection.channel() as channel:
        await channel.queue_delete(topology.tier_queue(8))

    found = await findings(environment, servers)

    assert [what for what, finding in found.items() if finding.state == "WRONG"] == ["queue deliveries.retry.8s"]


async def test_a_queue_of_another_release_is_named_and_nothing_is_wrong(
    environment, servers, topology_is_there, rabbitmq_url
):
    await topology_is_there()
    async with await aio_pika.connect(rabbitmq_url) as connection, connection.channel() as channel:
        await channel.declare_queue("deliveries.2", durable=True)

    found = await findings(environment, servers)

    assert found["queue deliveries.2"].says.startswith("is of another release")
    assert {finding.state for finding in found.values()} == {"ok"}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"x-message-ttl": 3000}, "x-message-ttl"),
        ({"x-queue-type": "classic", "x-dead-letter-strategy": None}, "x-queue-type"),
        ({"x-dead-letter-routing-key": "elsewhere"}, "x-dead-letter-routing-key"),
    ],
)
async def test_a_queue_with_other_arguments_is_named_with_the_argument(
    environment, servers, topology_is_there, changed: dict[str, Any], named: str
):
    name = topology.tier_queue(1)
    other = {**topology.queue_arguments()[name], **changed}
    await topology_is_there(**{name: {key: value for key, value in other.items() if value is not None}})

    found = await findings(environment, servers)

    assert found[f"queue {name}"].state == "WRONG"
    assert f"another {named} than it should" in found[f"queue {name}"].says


@pytest.mark.parametrize(
    ("variable", "what"),
    [("DATABASE_URL", "PostgreSQL"), ("RABBITMQ_URL", "RabbitMQ")],
    ids=["database", "broker"],
)
async def test_a_wrong_password_is_told_and_not_shown(environment, servers, variable: str, what: str):
    environment[variable] = with_password(environment[variable], WRONG_PASSWORD)

    found = await findings(environment, servers)

    assert found[what] == Finding(what, "WRONG", found[what].says)
    assert f"refuses the login: see user and password in {variable}" in found[what].says
    assert not any(WRONG_PASSWORD in finding.says for finding in found.values())


@pytest.mark.parametrize(
    ("variable", "what"),
    [("DATABASE_URL", "PostgreSQL"), ("RABBITMQ_URL", "RabbitMQ")],
    ids=["database", "broker"],
)
@pytest.mark.parametrize(
    ("host", "says"), [("127.0.0.1", "nothing listens at its address"), ("nowhere.invalid", "name")]
)
async def test_a_server_that_is_away_is_told(
    environment, servers, closed_port: int, variable: str, what: str, host: str, says: str
):
    scheme = urlsplit(environment[variable]).scheme
    environment[variable] = f"{scheme}://someone:{WRONG_PASSWORD}@{host}:{closed_port}/x"

    found = await findings(environment, servers)

    assert found[what].state == "WRONG"
    assert says in found[what].says
    assert f"see host and port in {variable}" in found[what].says


async def test_servers_that_take_a_connection_and_say_nothing_are_told(environment, servers):
    open_ones: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: open_ones.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    for variable in ("DATABASE_URL", "RABBITMQ_URL"):
        parts = urlsplit(environment[variable])
        login = parts.netloc.rpartition("@")[0]
        environment[variable] = urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}"))

    found = await findings(environment, servers)

    silent.close()
    for writer in open_ones:
        writer.close()
    for _, what in SERVERS:
        assert "does not answer within 5 s" in found[what].says


async def test_a_database_that_is_not_there_is_told(environment, servers):
    environment["DATABASE_URL"] += "_gone"

    found = await findings(environment, servers)

    assert "no database of the name in DATABASE_URL" in found["PostgreSQL"].says


async def test_a_virtual_host_that_is_not_there_is_told(environment, servers):
    environment["RABBITMQ_URL"] += "-gone"

    found = await findings(environment, servers)

    assert "no such virtual host" in found["RabbitMQ"].says


async def test_a_database_without_tables_is_to_be_migrated(environment, servers, empty_database_url: str):
    environment["DATABASE_URL"] = empty_database_url

    found = await findings(environment, servers)

    assert found["tables"] == Finding("tables", "WRONG", "there are none: run `tocsin-api migrate`")


async def test_a_database_of_an_older_release_is_to_be_migrated(
    environment, servers, database: asyncpg.Connection
):
    older = revisions.known()[1]
    await database.execute("UPDATE alembic_version SET version_num = $1", older)

    found = await findings(environment, servers)

    assert found["tables"].state == "WRONG"
    assert found["tables"].says == f"of an older release, {older}: run `tocsin-api migrate`"


@pytest.mark.parametrize(("ahead_s", "side"), [(12.0, "behind"), (-12.0, "ahead of")])
async def test_clocks_that_differ_are_told(environment, servers, topology_is_there, ahead_s: float, side: str):
    await topology_is_there()

    found = await findings(environment, servers, ahead_s=ahead_s)

    for whose in ("PostgreSQL", "RabbitMQ"):
        assert found[f"clock of {whose}"].state == "WRONG"
        assert side in found[f"clock of {whose}"].says


async def test_without_the_management_api_leaders_are_unknown_and_nothing_is_wrong(
    environment, topology_is_there, closed_port: int
):
    await topology_is_there()

    examining = doctor.examine(
        KINDS, environment, management_url=f"http://127.0.0.1:{closed_port}", now=lambda: datetime.now(UTC)
    )
    found = {finding.what: finding async for finding in examining}

    assert found["queue leaders"] == Finding("queue leaders", "unknown", "the management API does not answer")
    assert "WRONG" not in {finding.state for finding in found.values()}


async def test_of_several_management_apis_the_first_that_answers_is_asked(
    environment, servers, topology_is_there, closed_port: int
):
    await topology_is_there()

    several = f"http://127.0.0.1:{closed_port}, {servers.management_url}/"
    examining = doctor.examine(KINDS, environment, management_url=several, now=lambda: datetime.now(UTC))
    found = {finding.what: finding async for finding in examining}

    assert found["queue leaders"].state == "ok"


@pytest.mark.parametrize("wrong", ["nonsense", "http://127.0.0.1:none", "127.0.0.1:15672", ","])
async def test_a_management_api_at_no_url_is_unknown(environment, topology_is_there, wrong: str):
    await topology_is_there()

    examining = doctor.examine(KINDS, environment, management_url=wrong, now=lambda: datetime.now(UTC))
    found = {finding.what: finding async for finding in examining}

    assert found["queue leaders"].state == "unknown"


async def test_a_setting_of_one_role_does_not_hide_the_servers(environment, servers):
    environment["ENVIRONMENT"] = "production"
    del environment["SEALING_KEYS"]

    found = await findings(environment, servers)

    assert found["settings of a sender"].state == "WRONG"
    assert found["settings of a scheduler"].state == "ok"
    assert found["PostgreSQL"].state == "ok"


@pytest.mark.parametrize("command", COMMANDS)
async def test_the_command_says_so_and_exits_with_0(
    command: tuple[str, str], environment, servers, topology_is_there
):
    await topology_is_there()

    status, output = await call(*command, "--management-url", servers.management_url, environment=environment)

    assert output.endswith("nothing is wrong\n")
    assert status == 0


async def test_an_apis_doctor_looks_at_redis_where_it_is_to_be(
    environment, servers, topology_is_there, closed_port: int
):
    await topology_is_there()
    command = ("tocsin-api", "doctor", "--management-url", servers.management_url)

    without = await call(*command, environment=environment)
    environment["REDIS_URL"] = f"redis://127.0.0.1:{closed_port}"
    status, output = await call(*command, environment=environment)

    assert without[0] == 0
    assert "Redis" not in without[1]
    assert status == 1
    assert "Redis: it does not answer" in output


@pytest.mark.parametrize("command", COMMANDS)
async def test_the_command_shows_no_secret_however_wrong_all_is(
    command: tuple[str, str], environment, servers, closed_port: int
):
    key = base64.b64encode(bytes(range(31))).decode()
    secrets = {
        "API_KEY": WRONG_PASSWORD,
        "SEALING_KEYS": key,
        "DATABASE_URL": with_password(environment["DATABASE_URL"], WRONG_PASSWORD),
        "RABBITMQ_URL": with_password(environment["RABBITMQ_URL"], WRONG_PASSWORD),
        "POST_SLOTS": WRONG_PASSWORD,
        "MIN_INTERVAL_S": WRONG_PASSWORD,
    }

    status, output = await call(*command, environment={**environment, **secrets})

    assert status == 1
    assert output.count("\nWRONG") >= 2 or output.startswith("WRONG")
    hidden = [WRONG_PASSWORD, key, unquote(urlsplit(environment["DATABASE_URL"]).password or "")]
    assert not [secret for secret in hidden if secret in output]


@pytest.mark.parametrize(("role", "status"), [("schedule", 0), ("send", 1)])
async def test_a_dispatcher_may_ask_for_one_role(role: str, status: int, environment, servers, topology_is_there):
    await topology_is_there()
    environment["ENVIRONMENT"] = "production"
    del environment["SEALING_KEYS"]

    command = ("tocsin-dispatcher", "doctor", "--role", role, "--management-url", servers.management_url)
    ended, output = await call(*command, environment=environment)

    assert ended == status
    assert ("SEALING_KEYS is not set" in output) == (role == "send")


async def call(program: str, *arguments: str, environment: dict[str, str]) -> tuple[int, str]:
    """The exit status, and all that was written."""
    process = await asyncio.create_subprocess_exec(
        BIN / program,
        *arguments,
        env={**INHERITED, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(WAIT_S):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()
