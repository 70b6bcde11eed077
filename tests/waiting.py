"""Waiting for what servers do not tell by themselves: asked again and again, within a bound."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

WAIT_S = 30.0  # a bound, not a wait: a busy machine starts a process in seconds
POLL_S = 0.02


async def eventually(check: Callable[[], Awaitable[Any]], *, timeout_s: float = WAIT_S) -> Any:
    """What `check` says as soon as it is true; TimeoutError after `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while not (found := await check()):  # noqa: ASYNC110 - a server does not tell us by itself
            await asyncio.sleep(POLL_S)
    return found


async def becomes_true(
    database: asyncpg.Pool | asyncpg.Connection, question: str, *arguments: object, timeout_s: float = WAIT_S
) -> None:
    """Return as soon as the database answers `question` with true; TimeoutError after `timeout_s`."""
    await eventually(lambda: database.fetchval(question, *arguments), timeout_s=timeout_s)


def catch_up(loop: asyncio.AbstractEventLoop) -> None:
    """Let a loop that stood still do what it was asked meanwhile, to the end."""

    async def others() -> None:
        await asyncio.sleep(0)  # what was asked of it becomes tasks
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    loop.run_until_complete(others())
