"""What somebody else does to the RabbitMQ that the dispatcher uses."""

import asyncio

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractRobustChannel

from waiting import WAIT_S


async def hinder(operator: AbstractChannel, channel: AbstractRobustChannel, exchange: str) -> None:
    """Have `channel` closed by RabbitMQ, and kept from being opened again until `exchange` is deleted."""
    ends: asyncio.Queue[BaseException | None] = asyncio.Queue()
    channel.close_callbacks.add(lambda _, error: ends.put_nowait(error))
    await operator.exchange_delete(exchange)
    await operator.declare_exchange(exchange, ExchangeType.TOPIC)  # not as Tocsin declares it
    plain = await channel.get_underlay_channel()
    await plain.basic_ack(4711)  # which it never delivered
    async with asyncio.timeout(WAIT_S):
        for _ in range(2):  # once more, when it was opened again and could not declare the exchange
            await ends.get()
