"""Publishing to a RabbitMQ that somebody else changes."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from aio_pika.abc import AbstractChannel, AbstractRobustConnection
from structlog.testing import capture_logs

from integration.dispatcher.conftest import DAY
from integration.dispatcher.operators import hinder
from relay import Relay
from tocsin_common import broker, topology
from tocsin_common.messages import Job, JobMessage
from tocsin_dispatcher.publisher import Publisher
from waiting import WAIT_S, eventually

MESSAGE = JobMessage(jobs=[Job(uuid4(), DAY + timedelta(seconds=1), "discord.com/1")])


async def test_a_channel_that_cannot_be_opened_again_is_there_when_what_hindered_it_is_gone(
    connection: AbstractRobustConnection, operator: AbstractChannel
):
    publisher = await Publisher.open(connection, window=1, timeout_s=0.5)
    with capture_logs() as lines:
        await hinder(operator, publisher._channel, topology.JOBS_EXCHANGE)
        await operator.exchange_delete(topology.JOBS_EXCHANGE)

        async with asyncio.timeout(WAIT_S):
            await publisher.insist([MESSAGE])

    assert "broker.renewed" in {line["event"] for line in lines}
    queue = await operator.declare_queue(topology.WORK_QUEUE, passive=True)
    assert queue.declaration_result.message_count == 1


async def test_a_connection_on_which_nothing_is_answered_any_more_is_made_anew(rabbitmq_url: str):
    async with (
        Relay(rabbitmq_url) as relay,
        await broker.connect(relay.url, name="a test", timeout_s=WAIT_S) as connection,
    ):
        publisher = await Publisher.open(connection, window=1, timeout_s=0.5)
        with capture_logs() as lines:
            relay.freeze()
            insisting = asyncio.create_task(publisher.insist([MESSAGE]))
            await eventually(lambda: has_event(lines, "broker.renewed"))
            relay.thaw()

            async with asyncio.timeout(WAIT_S):
                await insisting


async def has_event(lines: Sequence[Mapping[str, Any]], event: str) -> bool:
    return event in {line["event"] for line in lines}
