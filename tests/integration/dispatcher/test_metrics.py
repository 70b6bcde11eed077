"""The counters over real HTTP: in this process, and in both roles as processes."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import asyncpg
import httpx
import pytest
from aio_pika import Message
from aio_pika.abc import AbstractRobustConnection

from tocsin_common import topology
from tocsin_dispatcher import metrics
from tocsin_dispatcher.metrics import MetricsError, served
from waiting import WAIT_S, becomes_true, eventually

ARCHITECTURE = Path(__file__).parents[3] / "docs" / "architecture.md"
NAMED = re.compile(r"^\| `(tocsin_\w+_total)` \| (.+) \|$", re.MULTILINE)
COMMAND = [sys.executable, "-c", "import sys; from tocsin_dispatcher.cli import main; main()"]


@pytest.fixture
def port() -> Iterator[int]:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    yield number
    assert not is_open(number)  # whatever a test served ends with it


def is_open(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def fetch(port: int) -> str | None:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{port}/metrics")
        except httpx.TransportError:
            return None
    return answer.raise_for_status().text


async def test_every_documented_counter_is_served_and_no_other_of_ours(port: int):
    documented = dict(NAMED.findall(metrics.__doc__))

    with served("127.0.0.1", port):
        text = await fetch(port)

    shown = dict(re.findall(r"^# HELP (tocsin_\w+) (.+)$", text, re.MULTILINE))
    assert {name: told[0].lower() + told[1:] for name, told in shown.items()} == documented
    assert re.findall(r"^tocsin_.*[{].*", text, re.MULTILINE) == []  # no label, so no secret in one


async def test_a_counter_rises(port: int):
    with served("127.0.0.1", port):
        before = await fetch(port)
        metrics.STEP_DOWNS.inc()
        after = await fetch(port)

    values = [
        float(re.search(r"^tocsin_step_downs_total (\S+)$", text, re.MULTILINE)[1]) for text in (before, after)
    ]
    assert values[1] == values[0] + 1


def test_the_port_is_free_again_afterwards(port: int):
    for _ in range(2):
        with served("127.0.0.1", port):
            assert is_open(port)
        assert not is_open(port)


def test_port_0_is_no_port():
    with served("no host at all", 0):
        pass


def test_a_port_that_is_taken_is_named(port: int):
    with served("127.0.0.1", port), pytest.raises(MetricsError, match="METRICS_PORT"), served("127.0.0.1", port):
        pass


def test_the_document_has_the_same_table():
    section = ARCHITECTURE.read_text(encoding="utf-8").partition("\n## Counters\n")[2].partition("\n## ")[0]

    assert NAMED.findall(section) == NAMED.findall(metrics.__doc__) != []


@asynccontextmanager
async def running(
    role: str, port: int, database_url: str, rabbitmq_url: str, sealing_keys: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    env = {**os.environ, "DATABASE_URL": database_url, "RABBITMQ_URL": rabbitmq_url, "SEALING_KEYS": sealing_keys}
    process = await asyncio.create_subprocess_exec(*COMMAND, role, env={**env, "METRICS_PORT": str(port)})
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize("role", ["schedule", "send"])
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_each_role_serves_its_counters_for_as_long_as_it_runs(
    port: int, database_url: str, rabbitmq_url: str, sealing_keys: str, role: str, end: signal.Signals
):
    async with running(role, port, database_url, rabbitmq_url, sealing_keys) as process:
        text = await eventually(lambda: fetch(port))
        assert "tocsin_claims_lost_total 0.0" in text

        process.send_signal(end)
        async with asyncio.timeout(WAIT_S):
            await process.wait()

        assert await fetch(port) is None


async def test_a_scheduler_counts_hints_and_terms_that_it_lost(
    port: int,
    database_url: str,
    rabbitmq_url: str,
    sealing_keys: str,
    pool: asyncpg.Pool,
    connection: AbstractRobustConnection,
):
    async def shows(line: str) -> bool:
        return line in (await fetch(port) or "")

    async with running("schedule", port, database_url, rabbitmq_url, sealing_keys):
        await becomes_true(pool, "SELECT epoch = 1 FROM scheduler_lease")

        exchange = await topology.declare_changes(await connection.channel())
        await exchange.publish(Message(b""), "")
        await pool.execute(
            "UPDATE scheduler_lease SET holder = 'another', expires_at = clock_timestamp() + interval '1 hour'"
        )

        await eventually(lambda: shows("tocsin_hints_heard_total 1.0"))
        await eventually(lambda: shows("tocsin_step_downs_total 1.0"))
