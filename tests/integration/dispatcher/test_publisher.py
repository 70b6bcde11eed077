"""Publishing to a RabbitMQ that somebody else changes."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import aio_pika
import pytest
from aio_pika import ExchangeType
from aio_pika.abc import AbstractRobustConnection
from structlog.testing import capture_logs

from integration.dispatcher.conftest import DAY
from tocsin_common import topology
from tocsin_common.broker import BROKER_ERRORS
from tocsin_common.messages import Job, JobMessage
from tocsin_dispatcher.publisher import Publisher
from waiting import WAIT_S

MESSAGE = JobMessage(jobs=[Job(uuid4(), DAY + timedelta(seconds=1), "discord.com/1")])


@pytest.fixture
async def operator(rabbitmq_url: str) -> aio_pika.abc.AbstractChannel:
    async with await aio_pika.connect(rabbitmq_url) as connection:
        yield await connection.channel()


async def test_a_channel_that_cannot_be_opened_again_is_there_when_what_hindered_it_is_gone(
    connection: AbstractRobustConnection, operator: aio_pika.abc.AbstractChannel
):
    publisher = await Publisher.open(connection, window=1, timeout_s=0.5)
    ends: asyncio.Queue[BaseException | None] = asyncio.Queue()
    publisher._channel.close_callbacks.add(lambda _, error: ends.put_nowait(error))
    await operator.exchange_delete(topology.JOBS_EXCHANGE)
    await operator.declare_exchange(topology.JOBS_EXCHANGE, ExchangeType.FANOUT)  # not as Tocsin declares it
    with capture_logs() as lines, pytest.raises(BROKER_ERRORS):
        await publisher._channel.declare_queue("nowhere", passive=True)  # it closes the channel
    async with asyncio.timeout(WAIT_S):
        for _ in range(2):  # once more, when it was opened again and could not declare the exchange
            await ends.get()
    await operator.exchange_delete(topology.JOBS_EXCHANGE)

    with capture_logs() as lines:
        async with asyncio.timeout(WAIT_S):
            await publisher.insist([MESSAGE])

    assert "broker.renewed" in {line["event"] for line in lines}
    queue = await operator.declare_queue(topology.WORK_QUEUE, passive=True)
    assert queue.declaration_result.message_count == 1
