"""ADAPTER. Wakes the scheduler when the api says that a task changed. A lost hint costs a poll's time, no more."""

import asyncio
from uuid import uuid4

from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection

from tocsin_common import topology


async def listen(connection: AbstractRobustConnection, wake: asyncio.Event) -> None:
    """Set `wake` at every hint, through an exclusive queue that goes with the connection."""

    async def hear(_: AbstractIncomingMessage) -> None:
        wake.set()

    channel = await connection.channel()
    exchange = await topology.declare_changes(channel)
    queue = await channel.declare_queue(
        f"{topology.CHANGES_EXCHANGE}.{uuid4().hex[:8]}",
        exclusive=True,
        arguments={"x-max-length": 1},  # hints are alike: one is enough
        timeout=topology.DECLARE_TIMEOUT_S,
    )
    await queue.bind(exchange, timeout=topology.DECLARE_TIMEOUT_S)
    await queue.consume(hear, no_ack=True, consumer_tag="wake the scheduler", timeout=topology.DECLARE_TIMEOUT_S)
