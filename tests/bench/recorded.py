"""ADAPTER. The statements that the API runs for a request, and how PostgreSQL plans them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
import httpx
import msgspec

from tocsin_api.app import create_app
from tocsin_common.settings import ApiSettings
from tocsin_local.errors import StackError

SESSION = {"jit": "off", "timezone": "UTC"}  # as the API's own are


class Statement(NamedTuple):
    """One that was run, with its arguments."""

    text: str
    arguments: tuple[Any, ...]


class Recorder:
    """An API in this process that tells which statements it runs."""

    def __init__(self, client: httpx.AsyncClient, pool: asyncpg.Pool, seen: list[Statement]) -> None:
        self._client = client
        self._pool = pool
        self._seen = seen

    async def statements(self, path: str) -> list[Statement]:
        """What a GET of `path` runs; StackError where it does not succeed."""
        self._seen.clear()
        answer = await self._client.get(path)
        if not answer.is_success:
            raise StackError(f"The API answered {answer.status_code} to {path}: {answer.text}")
        return [statement for statement in self._seen if not statement.text.startswith("EXPLAIN")]

    async def plan(self, statement: Statement) -> Mapping[str, Any]:
        """The root of its plan, with what each part of it has read: the statement is run for that."""
        explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement.text}"
        explained = await self._pool.fetchval(explain, *statement.arguments)
        root: Mapping[str, Any] = msgspec.json.decode(explained)[0]["Plan"]
        return root


@asynccontextmanager
async def recording(settings: ApiSettings) -> AsyncIterator[Recorder]:
    """An API on these settings."""
    app, seen = create_app(settings), list[Statement]()

    async def watch(connection: asyncpg.Connection) -> None:
        connection.add_query_logger(lambda query: seen.append(Statement(query.query, query.args)))

    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # two spellings of ASGI
    headers = {"X-API-KEY": settings.api_key}
    async with (
        app.lifespan(),
        asyncpg.create_pool(
            settings.database_url, min_size=1, max_size=1, init=watch, reset=_keep_session, server_settings=SESSION
        ) as pool,
        httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client,
    ):
        app.state.resources = app.state.resources._replace(pool=pool)
        yield Recorder(client, pool, seen)


async def _keep_session(_: asyncpg.Connection) -> None:
    """As the API's own pool does."""
