"""What operators do to a broker of the test's own."""

import asyncio

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from faults.own_servers import own_server

QUEUE = "some"
NO_DATABASE = {"DATABASE_URL": "postgresql://127.0.0.1/"}


async def test_operators_purge_and_delete_queues_and_let_an_alarm_ring():
    with own_server("rabbitmq", NO_DATABASE) as server:
        operator = server.operator
        async with await aio_pika.connect(server.urls.rabbitmq_url) as connection:
            channel = await connection.channel()
            await channel.declare_queue(QUEUE, durable=True)
            for _ in range(3):
                await channel.default_exchange.publish(aio_pika.Message(b"x"), routing_key=QUEUE)

        assert await operator.queues("%2F") == [QUEUE]
        assert [await operator.purge(QUEUE), await operator.purge(QUEUE)] == [3, 0]

        await operator.delete("%2F", QUEUE)
        assert await operator.queues("%2F") == []

        async with operator.channel() as channel:
            exchange = await channel.declare_exchange("jobs")
            queue = await channel.declare_queue(QUEUE)
            await queue.bind(exchange, QUEUE)
            arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
            await queue.consume(arrived.put, no_ack=True)
            async with operator.every_message_twice("jobs", QUEUE, lambda: 0.0, bytes.upper) as copies:
                await exchange.publish(aio_pika.Message(b"x"), QUEUE)
                pair = [await arrived.get(), await arrived.get()]
            await exchange.publish(aio_pika.Message(b"alone"), QUEUE)
            last = await arrived.get()

        assert sorted(each.body for each in pair) == [b"X", b"x"]
        assert (len(copies), last.body) == (1, b"alone")

        assert await operator.alarms() == set()
        async with operator.alarm("disk"):
            assert await operator.alarms() == {"disk space"}
        async with operator.alarm("memory"):
            assert await operator.alarms() == {"memory"}
        assert await operator.alarms() == set()
