"""ADAPTER. Wakes the scheduler when the api says that a task changed. A lost hint costs a poll's time, no more."""

import asyncio
from uuid import uuid4

from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection

from tocsin_common import broker, topology
from tocsin_common.identity import HEARS_CHANGES
from tocsin_dispatcher import metrics


async def listen(connection: AbstractRobustConnection, wake: asyncio.Event, *, process: str) -> None:
    """Set `wake` at every hint, through an exclusive queue of `process` that goes with the connection."""

    async def hear(_: AbstractIncomingMessage) -> None:
        metrics.HINTS_HEARD.inc()
        wake.set()

    async with broker.call():
        channel = await connection.channel()
        exchange = await topology.declare_changes(channel)
        queue = await channel.declare_queue(
            # The last part because two processes may have one name, where their hosts have.
            f"{topology.CHANGES_EXCHANGE}.{process}.{uuid4().hex[:8]}",
            exclusive=True,
            arguments={
                "description": topology.HINTS_DESCRIPTION,
                "x-max-length": 1,  # hints are alike: one is enough
            },
            timeout=topology.DECLARE_TIMEOUT_S,
        )
        await queue.bind(exchange, timeout=topology.DECLARE_TIMEOUT_S)
        tag = HEARS_CHANGES.name(process)
        await queue.consume(hear, no_ack=True, consumer_tag=tag, timeout=topology.DECLARE_TIMEOUT_S)
