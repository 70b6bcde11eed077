"""ADAPTER. A client of Tocsin's REST API that goes on trying while the API, or what it needs, is away."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

import aiohttp

from tocsin_local.errors import StackError

RETRY_S = 0.25
PATIENCE_S = 60.0
TIMEOUT = aiohttp.ClientTimeout(total=10)
PAGE = 100  # the most that the API gives at once

T = TypeVar("T")


class AwayError(Exception):
    """The API did not answer, or could not do what was asked for now."""


class RefusedError(StackError):
    """The API refused what it was asked for."""


class Api:
    """Creates tasks and reads their logs. StackError where the API refuses, or is away for `patience_s`."""

    def __init__(self, session: aiohttp.ClientSession, patience_s: float = PATIENCE_S) -> None:
        self._session = session
        self._patience_s = patience_s

    async def create_task(
        self, *, name: str, schedule: str, webhook_url: str, payload: Mapping[str, Any], max_retry: int
    ) -> tuple[UUID, datetime]:
        """Create a task, with a name that no other has, exactly once: its id and effective-from."""
        wanted = {
            "name": name,
            "schedule": schedule,
            "webhookUrl": webhook_url,
            "payload": payload,
            "maxRetry": max_retry,
        }

        async def create() -> Any:
            # Of an earlier call that got no answer, the task may be there all the same.
            for task in await self._pages("/api/tasks", search=name):
                if task["name"] == name:
                    return task
            return await self._call("POST", "/api/tasks", json=wanted)

        try:
            task = await self._patiently(create)
        except RefusedError as error:
            raise StackError(f"The API refused the task {name!r}: {error}") from error
        return UUID(task["id"]), datetime.fromisoformat(task["createdAt"])

    async def succeeded_log_ids(self, task_id: UUID) -> set[UUID]:
        """The ids of all log rows of a task that tell of a success."""
        logs = await self._patiently(lambda: self._pages(f"/api/tasks/{task_id}/logs", status="SUCCESS"))
        return {UUID(log["id"]) for log in logs}

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return await call()
            except AwayError as error:
                if time.monotonic() > deadline:
                    raise StackError(f"The API was away for {self._patience_s:.0f} s: {error}") from error
                await asyncio.sleep(RETRY_S)

    async def _pages(self, path: str, **query: str) -> list[Any]:
        found: list[Any] = []
        page, pages = 0, 1
        while page < pages:
            page += 1
            answer = await self._call("GET", path, params={**query, "limit": str(PAGE), "page": str(page)})
            found += answer["data"]
            pages = answer["meta"]["totalPages"]
        return found

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        try:
            async with self._session.request(method, path, **options) as answer:
                body = await answer.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise AwayError(type(error).__name__) from error
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise AwayError(f"{answer.status}: {body.get('detail')}")
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise RefusedError(f"{answer.status}, {body.get('detail')}")
        return body


@asynccontextmanager
async def connect(url: str, api_key: str) -> AsyncIterator[Api]:
    """The API at `url`, without its path."""
    headers = {"X-API-KEY": api_key}
    async with aiohttp.ClientSession(url, headers=headers, timeout=TIMEOUT, trust_env=False) as session:
        yield Api(session)
