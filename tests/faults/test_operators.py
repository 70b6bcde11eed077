"""What operators do to a broker of the tests' own, and what its firehose shows."""

import asyncio
from collections.abc import Iterator

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from faults import operators
from faults.matrix.firehose import Firehose
from faults.own_servers import OwnServer, own_server
from waiting import eventually

QUEUE = "some"
NO_DATABASE = {"DATABASE_URL": "postgresql://127.0.0.1/"}


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with own_server("rabbitmq", NO_DATABASE) as server:
        yield server


async def test_the_firehose_shows_what_nobody_takes_and_is_there_again_when_its_broker_is(server: OwnServer):
    async def publish(body: bytes) -> None:
        async with await aio_pika.connect(server.urls.rabbitmq_url) as connection:
            channel = await connection.channel(on_return_raises=True)
            with pytest.raises(aio_pika.exceptions.DeliveryError):  # it was returned
                await channel.default_exchange.publish(aio_pika.Message(body), "nowhere")

    async with Firehose(server.urls, [server.urls.management_url], "a tap") as firehose:

        async def shows(body: str) -> bool:
            await publish(body.encode())
            return body in firehose.text

        await eventually(lambda: shows("before"))
        await server.kill()
        await server.restart()

        await eventually(lambda: shows("after"))


async def test_operators_purge_and_delete_queues_and_let_an_alarm_ring(server: OwnServer):
    operator = server.operator
    async with await aio_pika.connect(server.urls.rabbitmq_url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(QUEUE, durable=True)
        for _ in range(3):
            await channel.default_exchange.publish(aio_pika.Message(b"x"), routing_key=QUEUE)

        assert await operator.bodies(QUEUE) == [b"x"] * 3
        assert await operators.consumers(channel, QUEUE) == 0

    assert await operator.queues("%2F") == [QUEUE]
    assert [await operator.purge(QUEUE), await operator.purge(QUEUE)] == [3, 0]

    await operator.delete("%2F", QUEUE)
    assert await operator.queues("%2F") == []

    async with operator.channel() as channel:
        arguments = {"x-queue-type": "quorum"}
        await channel.declare_queue(QUEUE, durable=True, arguments=arguments)
        await channel.default_exchange.publish(aio_pika.Message(b"x"), routing_key=QUEUE)
    assert await operator.throw_away(QUEUE) == 1
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
