"""One API, one scheduler and one sender for all tests of a file, which do not touch them and leave no task behind.

The sweeper is patient: what arrives was announced in time.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import httpx
import pytest

from e2e.conftest import API_KEY, PROCESSES, SHORT_WAITS, connected_to
from e2e.crew import Crew
from e2e.processes import Tocsin, free_port
from tocsin_local.receiver import Receiver
from tocsin_local.urls import StackUrls

MOST_TASKS = 100
"""Of a test, and on one page."""


class Ordinary(NamedTuple):
    """All of it, at work."""

    api: httpx.AsyncClient
    scheduler: Tocsin
    sender: Tocsin
    processes: Sequence[Tocsin]


@pytest.fixture(scope="module")
async def ordinary(
    shared_database_url: str, shared_rabbitmq_url: str, sealing_keys: str, servers: StackUrls
) -> AsyncIterator[Ordinary]:
    environment = {
        **SHORT_WAITS,
        "SWEEP_PATIENCE_S": "60",
        "DATABASE_URL": shared_database_url,
        "RABBITMQ_URL": shared_rabbitmq_url,
        "SEALING_KEYS": sealing_keys,
        "API_KEY": API_KEY,
    }
    crew, port = Crew(environment, servers), free_port()
    try:
        scheduler = await crew.start("tocsin-dispatcher", "schedule")
        sender = await crew.start("tocsin-dispatcher", "send")
        api = await crew.start("tocsin-api", "serve", PORT=str(port))
        async with connected_to(api, port) as client:
            await scheduler.logged("scheduler.leading")
            await scheduler.logged("partition.made", count=2)
            await sender.logged("sender.consuming")
            yield Ordinary(client, scheduler, sender, (api, scheduler, sender))
    finally:
        await crew.stop()


@pytest.fixture
def database_url(shared_database_url: str) -> str:
    return shared_database_url


@pytest.fixture
async def api(
    ordinary: Ordinary, receiver: Receiver, request: pytest.FixtureRequest
) -> AsyncIterator[httpx.AsyncClient]:
    """Its tasks are gone before the receiver is."""
    request.node.stash[PROCESSES] = [*ordinary.processes]
    yield ordinary.api
    shown = await ordinary.api.get("/api/tasks", params={"limit": MOST_TASKS})
    for task in shown.json()["data"]:
        (await ordinary.api.delete(f"/api/tasks/{task['id']}")).raise_for_status()


@pytest.fixture
def scheduler(ordinary: Ordinary) -> Tocsin:
    return ordinary.scheduler


@pytest.fixture
def sender(ordinary: Ordinary) -> Tocsin:
    return ordinary.sender
