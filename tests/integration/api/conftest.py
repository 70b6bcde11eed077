"""An API on each test's own database."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import structlog
from structlog.testing import LogCapture

from integration.api.serving import api_settings, serve, task_body
from tocsin_common import database
from tocsin_common.settings import ApiSettings
from tocsin_local.urls import StackUrls


@pytest.fixture
def settings(database_url: str, sealing_keys: str) -> ApiSettings:
    """Of an API on this test's database."""
    return api_settings(database_url, sealing_keys)


@pytest.fixture
async def client(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client, with the API key, of an API on this test's database."""
    async with serve(settings) as client:
        yield client


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to this test's database, as commands open them."""
    async with await database.open_pool(database_url, size=4, name="test", timeout_s=10) as pool:
        yield pool


@pytest.fixture(scope="module")
async def shared_database(shared_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the module's database, to arrange and to look."""
    connection = await asyncpg.connect(shared_database_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def shared_client(shared_database_url: str, sealing_keys: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that a module's tests share: for tables of cases that do not get in each other's way."""
    async with serve(api_settings(shared_database_url, sealing_keys)) as client:
        yield client


@pytest.fixture
def new_task() -> dict[str, Any]:
    """A valid body that creates a task."""
    return task_body()


@pytest.fixture
async def task(client: httpx.AsyncClient, new_task: dict[str, Any]) -> dict[str, Any]:
    """A task that exists, as the API shows it."""
    answer = await client.post("/api/tasks", json=new_task)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


@pytest.fixture(scope="module")
async def shared_task(shared_client: httpx.AsyncClient) -> dict[str, Any]:
    """A task of the shared API, which no test changes."""
    created: dict[str, Any] = (await shared_client.post("/api/tasks", json=task_body())).json()
    return created


@pytest.fixture
def read_row(database: asyncpg.Connection) -> Callable[[str], Awaitable[Any]]:
    """Reads a task's row."""

    async def read(task_id: str) -> Any:
        return await database.fetchrow("SELECT * FROM tasks WHERE id = $1", UUID(task_id))

    return read


@pytest.fixture
def read_revisions(database: asyncpg.Connection) -> Callable[[str], Awaitable[list[Any]]]:
    """Reads a task's revisions, in order."""

    async def read(task_id: str) -> list[Any]:
        statement = "SELECT * FROM task_revisions WHERE task_id = $1 ORDER BY revision"
        rows: list[Any] = await database.fetch(statement, UUID(task_id))
        return rows

    return read


@pytest.fixture
def log() -> Iterator[list[Any]]:
    """Everything that was logged, as dictionaries with the context of each line."""
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, capture],
        cache_logger_on_first_use=False,
    )
    yield capture.entries
    structlog.configure(**before)


@pytest.fixture
def redis_url(servers: StackUrls) -> str:
    """A Redis that other tests use at the same time."""
    if not servers.redis_url:
        pytest.skip("of the servers that were given none is Redis: set REDIS_URL")
    return servers.redis_url
