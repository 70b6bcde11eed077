"""SHELL. Patience with servers that may be away, and with what is not yet so."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

import waiting

PATIENCE_S = 120.0
POLL_S = 0.05
AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

T = TypeVar("T")


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """What `call` returns, as soon as the database is there."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await call()
            except AWAY:
                await asyncio.sleep(POLL_S)


async def eventually(find: Callable[[], Awaitable[T | None]]) -> T:
    """What `find` returns, as soon as it is something."""
    found: T = await waiting.eventually(find, timeout_s=PATIENCE_S)
    return found
