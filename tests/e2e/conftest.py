"""The whole of Tocsin as real processes, with a receiver, for one test each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg
import httpx
import pytest

from e2e.processes import Tocsin, free_port
from e2e.stage import Stage
from integration.api.serving import serve
from logins import as_service
from tocsin_common.failpoints import Failpoint
from tocsin_common.settings import ApiSettings
from tocsin_common.settings_reader import load
from tocsin_local.receiver import Receiver
from tocsin_local.urls import StackUrls
from waiting import eventually

API_KEY = "a key of the end to end tests"
SHORT_WAITS = {
    "ALLOW_LOCAL_WEBHOOKS": "1",
    "LEASE_TTL_S": "2",
    "LEASE_RENEW_S": "0.5",
    "LEASE_HOLD_S": "1.5",
    "POST_TIMEOUT_S": "2",
    "CLAIM_TTL_S": "3",
    "SWEEP_INTERVAL_S": "0.5",
    "SWEEP_PATIENCE_S": "3",
    "SWEEP_OUTAGE_PATIENCE_S": "1",
}
"""A fault is over within a test's time."""
PROCESSES = pytest.StashKey[list[Tocsin]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows what its processes wrote last: it may not come again."""
    report = yield
    if report.failed:
        for tocsin in item.stash.get(PROCESSES, []):
            title = f"{tocsin.command}, exit status {tocsin.process.returncode}"
            report.sections.append((title, "\n".join(tocsin.last_lines)))
    return report


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def environment(database_url: str, rabbitmq_url: str, sealing_keys: str) -> dict[str, str]:
    """Settings for all processes."""
    urls = {"DATABASE_URL": database_url, "RABBITMQ_URL": rabbitmq_url}
    return {**SHORT_WAITS, **urls, "SEALING_KEYS": sealing_keys}


Start = Callable[..., Awaitable[Tocsin]]


@pytest.fixture
async def start(
    environment: dict[str, str], servers: StackUrls, request: pytest.FixtureRequest
) -> AsyncIterator[Start]:
    """Start processes, each as a user with just its rights.

    At the test's end those that still run must stop on SIGTERM with status 0.
    """
    running: list[Tocsin] = []
    request.node.stash[PROCESSES] = running

    async def start(
        *command: str,
        dies_at: Failpoint | None = None,
        freezes_at: Failpoint | None = None,
        cancels_at: Failpoint | None = None,
        nth: int = 1,
        folder: Path | None = None,
        **changes: str,
    ) -> Tocsin:
        env = environment | changes
        env |= {name: as_service(env[name], servers, command[1]) for name in ("DATABASE_URL", "RABBITMQ_URL")}
        running.append(
            await Tocsin.start(
                *command,
                env=env,
                dies_at=dies_at,
                freezes_at=freezes_at,
                cancels_at=cancels_at,
                nth=nth,
                folder=folder,
            )
        )
        return running[-1]

    yield start
    alive = [tocsin for tocsin in running if tocsin.process.returncode is None]
    statuses = await asyncio.gather(*(tocsin.stop() for tocsin in alive))
    assert statuses == [0] * len(alive)


@pytest.fixture
async def scheduler(start: Start) -> Tocsin:
    """It leads, and today has its partitions: without these the api would refuse to run a task by hand."""
    scheduler = await start("tocsin-dispatcher", "schedule")
    await scheduler.logged("scheduler.leading")
    await scheduler.logged("partition.made", count=2)
    return scheduler


@pytest.fixture
async def sender(start: Start) -> Tocsin:
    sender = await start("tocsin-dispatcher", "send")
    await sender.logged("sender.consuming")
    return sender


@pytest.fixture
async def stage(
    start: Start, environment: dict[str, str], database: asyncpg.Connection, receiver: Receiver
) -> AsyncIterator[Stage]:
    """A receiver, an API in this process, which saves the test a second, and a lease that was held until now."""
    await database.execute("UPDATE scheduler_lease SET watermark = clock_timestamp()")
    settings = load(ApiSettings, {**environment, "API_KEY": API_KEY})
    async with await aio_pika.connect(settings.rabbitmq_url) as connection, serve(settings) as api:
        yield Stage(start, api, database, connection, receiver)


@pytest.fixture
async def api(start: Start) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a real API process."""
    port = free_port()
    process = await start("tocsin-api", "serve", PORT=str(port), API_KEY=API_KEY)
    async with connected_to(process, port) as client:
        yield client


@asynccontextmanager
async def connected_to(process: Tocsin, port: int) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that starts, once it can announce what is asked for."""
    await process.logged("api.started")
    async with client_of(port) as client:
        await eventually(lambda: _is_connected(client))
        yield client


async def _is_connected(client: httpx.AsyncClient) -> bool:
    """Whether it can announce what is asked for: what it could not, nobody would hear of until a sweep."""
    ready = await client.get("/health/ready")
    return ready.status_code == 200 and ready.json()["rabbitmq"] == "connected"


def client_of(port: int) -> httpx.AsyncClient:
    """A client of the API that listens on `port`, or will in a moment."""
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers={"X-API-KEY": API_KEY},
        transport=httpx.AsyncHTTPTransport(retries=10),
    )


async def run(api: httpx.AsyncClient, task: dict[str, Any], key: str | None = None) -> dict[str, Any]:
    """Run a task by hand, at most once for each `key`."""
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = await api.post(f"/api/tasks/{task['id']}/run", headers=headers)
    assert answer.status_code == 202, answer.text
    execution: dict[str, Any] = answer.json()
    return execution


@pytest.fixture
def create_task(api: httpx.AsyncClient) -> Callable[..., Awaitable[dict[str, Any]]]:
    async def create(url: str, **fields: Any) -> dict[str, Any]:
        body = {
            "name": "a task",
            "schedule": "* * * * * *",
            "webhookUrl": url,
            "payload": {"content": "hello"},
            **fields,
        }
        response = await api.post("/api/tasks", json=body)
        assert response.status_code == 201, response.text
        task: dict[str, Any] = response.json()
        return task

    return create


@pytest.fixture
async def executions(database: asyncpg.Connection) -> Callable[..., Awaitable[list[asyncpg.Record]]]:
    """The rows of a task's executions in a state, oldest first."""

    async def fetch(task: dict[str, Any], *states: str) -> list[asyncpg.Record]:
        return await database.fetch(
            "SELECT * FROM executions WHERE task_id = $1 AND state = ANY($2) ORDER BY scheduled_for",
            task["id"],
            list(states),
        )

    return fetch
