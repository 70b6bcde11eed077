import asyncio

import aio_pika

from bench.peers.line import BATCH, Line

BODY = b"x" * 600


async def test_what_it_counts_as_confirmed_is_in_the_queue(rabbitmq_url: str) -> None:
    def publish() -> None:
        with Line(rabbitmq_url, "limits") as line:
            line.publish(BODY, 12 * BATCH)  # more than it sends without a confirm

    await asyncio.to_thread(publish)

    async with await aio_pika.connect(rabbitmq_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("limits", passive=True)
        assert queue.declaration_result.message_count == 12 * BATCH
        message = await queue.get()
        assert (message.body, message.delivery_mode) == (BODY, aio_pika.DeliveryMode.PERSISTENT)
