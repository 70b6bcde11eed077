"""ADAPTER. What a process of the dispatcher is connected to."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import asyncpg
from aio_pika.abc import AbstractRobustConnection

from tocsin_common import broker, database
from tocsin_common.identity import Purpose
from tocsin_common.settings import Settings

T = TypeVar("T")


class Connections(NamedTuple):
    """PostgreSQL, and RabbitMQ twice: an alarm blocks the connection that publishes, not the one that consumes."""

    pool: asyncpg.Pool
    consuming: AbstractRobustConnection
    publishing: AbstractRobustConnection


@asynccontextmanager
async def connect(
    settings: Settings, *, name: str, consuming: Purpose, publishing: Purpose
) -> AsyncIterator[Connections]:
    """Connect, and wait for the tables; raises UnavailableError after `connect_timeout_s`.

    Operators see `name` in PostgreSQL, and with the purpose of each connection in RabbitMQ.
    """
    timeout_s = settings.connect_timeout_s
    pool = await database.open_pool(
        settings.database_url,
        size=settings.database_pool_size,
        name=name,
        timeout_s=timeout_s,
        idle_in_transaction_s=settings.idle_in_transaction_timeout_s,
    )
    try:
        await database.wait_until_migrated(pool, timeout_s=timeout_s)
        async with (
            await _connect_broker(settings, name, consuming) as consumer,
            await _connect_broker(settings, name, publishing) as publisher,
        ):
            yield Connections(pool, consumer, publisher)
    finally:
        await database.close_pool(pool)


async def _connect_broker(settings: Settings, name: str, purpose: Purpose) -> AbstractRobustConnection:
    return await broker.connect(
        settings.rabbitmq_url,
        name=purpose.name(name),
        timeout_s=settings.connect_timeout_s,
        description=purpose.description,
        heartbeat_s=settings.rabbitmq_heartbeat_s,
    )


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
