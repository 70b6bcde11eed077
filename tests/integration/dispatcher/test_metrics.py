"""The metrics over real HTTP: in this process, and in every process of Tocsin."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import asyncpg
import httpx
import pytest
from aio_pika import Message
from aio_pika.abc import AbstractRobustConnection

from tocsin_common import topology
from tocsin_dispatcher import metrics
from tocsin_dispatcher.metrics import MetricsError, served
from tocsin_local import ports
from waiting import WAIT_S, becomes_true, eventually

from .conftest import DAY, AddExecution, AddTask

ARCHITECTURE = Path(__file__).parents[3] / "docs" / "architecture.md"
ROW = re.compile(r"^\| `(tocsin_\w+)` \| (\w+) \| ([\w, ]+) \|(.*?)\| (.+) \|$", re.MULTILINE)
BIN = Path(sys.executable).parent
COMMANDS = {
    "API": ("tocsin-api", "serve"),
    "scheduler": ("tocsin-dispatcher", "schedule"),
    "sender": ("tocsin-dispatcher", "send"),
}


def documented(process: str) -> dict[str, tuple[str, str]]:
    """Kind and description of each metric that the document says this process has."""
    section = ARCHITECTURE.read_text(encoding="utf-8").partition("\n## Metrics\n")[2].partition("\n## ")[0]
    return {
        name: (kind, shows)
        for name, kind, of, _, shows in ROW.findall(section)
        if process in of.split(", ") or of == "all"
    }


def shown(text: str) -> dict[str, tuple[str, str]]:
    """The same of what a process serves."""
    kinds = dict(re.findall(r"^# TYPE (tocsin_\w+) (\w+)$", text, re.MULTILINE))
    told = dict(re.findall(r"^# HELP (tocsin_\w+) (.+)$", text, re.MULTILINE))
    return {name: (kinds[name], _as_in_a_table(told[name])) for name in told}


def _as_in_a_table(text: str) -> str:
    return text if text.startswith("POST") else text[0].lower() + text[1:]


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


async def fetch(port: int, path: str = "/metrics") -> str | None:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{port}{path}")
        except httpx.TransportError:
            return None
    return answer.raise_for_status().text


async def test_a_counter_rises(port: int):
    with served("127.0.0.1", port):
        before = await fetch(port)
        metrics.MESSAGES_UNCONFIRMED.inc()
        after = await fetch(port)

    values = [
        float(re.search(r"^tocsin_messages_unconfirmed_total (\S+)$", text, re.MULTILINE)[1])
        for text in (before, after)
    ]
    assert values[1] == values[0] + 1


async def test_others_may_answer_beside_the_metrics(port: int):
    class Greeter:
        def beside(self, app: WSGIApplication) -> WSGIApplication:
            def route(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
                if environ["PATH_INFO"] != "/hello":
                    return app(environ, start_response)
                start_response("200 OK", [])
                return [b"hello"]

            return route

    with served("127.0.0.1", port, Greeter()):
        assert await fetch(port, "/hello") == "hello"
        assert "tocsin_messages_unconfirmed_total" in await fetch(port)


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


@asynccontextmanager
async def running(
    kind: str, port: int, database_url: str, rabbitmq_url: str, sealing_keys: str, **more: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    env = {**os.environ, "DATABASE_URL": database_url, "RABBITMQ_URL": rabbitmq_url, "SEALING_KEYS": sealing_keys}
    program, command = COMMANDS[kind]
    process = await asyncio.create_subprocess_exec(
        BIN / program, command, env={**env, "METRICS_PORT": str(port), **more}
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_each_process_serves_what_the_document_says_for_as_long_as_it_runs(
    port: int, database_url: str, rabbitmq_url: str, sealing_keys: str, kind: str, end: signal.Signals
):
    api = {"API_KEY": "the-key-of-this-test", "PORT": str(ports.choose())}
    async with running(kind, port, database_url, rabbitmq_url, sealing_keys, **api) as process:
        text = await eventually(lambda: fetch(port))
        assert shown(text) == documented(kind) != {}

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

    async with running("scheduler", port, database_url, rabbitmq_url, sealing_keys):
        await becomes_true(pool, "SELECT epoch = 1 FROM scheduler_lease")

        exchange = await topology.declare_changes(await connection.channel())
        await exchange.publish(Message(b""), "")
        await pool.execute(
            "UPDATE scheduler_lease SET holder = 'another', expires_at = clock_timestamp() + interval '1 hour'"
        )

        await eventually(lambda: shows("tocsin_hints_heard_total 1.0"))
        await eventually(lambda: shows("tocsin_step_downs_total 1.0"))


async def test_a_leader_shows_that_it_leads_and_how_far_it_is(
    port: int,
    database_url: str,
    rabbitmq_url: str,
    sealing_keys: str,
    pool: asyncpg.Pool,
    add_execution: AddExecution,
    add_task: AddTask,
):
    async def values() -> dict[str, float]:
        return dict(re.findall(r"^(tocsin_[^ ]+) (\S+)$", await fetch(port) or "", re.MULTILINE))

    async def sampled() -> dict[str, float]:
        return {name: float(value) for name, value in (await values()).items() if "tocsin_executions_open" in name}

    await add_execution(await add_task(cron=None, run_at=DAY, status="INACTIVE"), state="running", next_in_s=3600)
    async with running("scheduler", port, database_url, rabbitmq_url, sealing_keys):
        assert await eventually(sampled) == {
            'tocsin_executions_open{state="due"}': 0.0,
            'tocsin_executions_open{state="waiting"}': 0.0,
            'tocsin_executions_open{state="running"}': 1.0,
        }
        leading = {name: float(value) for name, value in (await values()).items()}
        assert (leading["tocsin_leader"], leading["tocsin_epoch"], leading["tocsin_paused"]) == (1.0, 1.0, 0.0)
        assert 0.0 <= leading["tocsin_watermark_lag_seconds"] < WAIT_S
        assert leading["tocsin_database_connections_max"] == 10.0
