"""ADAPTER. What a process of the dispatcher is connected to."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import asyncpg
from aio_pika.abc import AbstractRobustConnection

from tocsin_common import broker, database
from tocsin_common.settings import Settings

T = TypeVar("T")


class Connections(NamedTuple):
    """PostgreSQL, and RabbitMQ twice: an alarm blocks the connection that publishes, not the one that consumes."""

    pool: asyncpg.Pool
    consuming: AbstractRobustConnection
    publishing: AbstractRobustConnection


@asynccontextmanager
async def connect(settings: Settings, *, name: str, consumes: str, publishes: str) -> AsyncIterator[Connections]:
    """Connect, and wait for the tables; raises UnavailableError after `connect_timeout_s`.

    Operators see `name` in PostgreSQL, and with what it consumes and publishes in RabbitMQ.
    """
    timeout_s = settings.connect_timeout_s
    pool = await database.open_pool(
        settings.database_url, size=settings.database_pool_size, name=name, timeout_s=timeout_s
    )
    try:
        await database.wait_until_migrated(pool, timeout_s=timeout_s)
        url = settings.rabbitmq_url
        async with (
            await broker.connect(url, name=f"{name} {consumes}", timeout_s=timeout_s) as consuming,
            await broker.connect(url, name=f"{name} {publishes}", timeout_s=timeout_s) as publishing,
        ):
            yield Connections(pool, consuming, publishing)
    finally:
        await database.close_pool(pool)


async def unless_stopped(start: Coroutine[Any, Any, T], stop: asyncio.Event) -> T | None:
    """What `start` returns; None, and `start` is cancelled, where `stop` is set first."""
    starting, stopping = asyncio.create_task(start), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return starting.result() if starting.done() else None
    finally:
        starting.cancel()
        stopping.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
