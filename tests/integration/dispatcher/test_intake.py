"""Taking jobs from a RabbitMQ that somebody else changes."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from aio_pika.abc import AbstractChannel, AbstractQueue, AbstractRobustChannel
from structlog.testing import capture_logs

from integration.dispatcher.conftest import DAY
from integration.dispatcher.operators import hinder
from tocsin_common import broker, topology
from tocsin_common.messages import Job, JobMessage
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.sender.inbox import Inbox
from tocsin_dispatcher.sender.intake import Intake, open_queues
from waiting import WAIT_S, eventually

JOB = Job(uuid4(), DAY + timedelta(seconds=1), "discord.com/1")


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def consumed(rabbitmq_url: str, inbox: Inbox) -> AsyncIterator[AbstractQueue]:
    """The work queue, while an intake that only fills `inbox` takes jobs from it."""
    async with await broker.connect(rabbitmq_url, name="x", timeout_s=WAIT_S) as connection:
        queues = await open_queues(connection, prefetch=8, tag="takes jobs")
        unused: Any = None
        await Intake(unused, queues, inbox, unused, unused, unused, unused, unused, unused).consume()
        yield queues["takes jobs"]


async def arrives(publisher: Publisher, inbox: Inbox) -> bool:
    """Whether what is published comes to the sender."""
    async with asyncio.timeout(WAIT_S):
        await publisher.insist([JobMessage(jobs=[JOB])])
        [delivery] = await inbox.take(1)
    return delivery.jobs == [JOB]


async def test_a_sender_takes_jobs_again_after_its_queue_was_deleted(
    consumed: AbstractQueue, inbox: Inbox, publisher: Publisher, operator: AbstractChannel
):
    await operator.queue_delete(topology.WORK_QUEUE)

    assert await arrives(publisher, inbox)


async def test_a_sender_takes_jobs_again_when_its_queue_is_as_it_declares_it(
    consumed: AbstractQueue,
    inbox: Inbox,
    publisher: Publisher,
    operator: AbstractChannel,
    caplog: pytest.LogCaptureFixture,
):
    async def has_tried() -> bool:
        return "Consumer recovery failed" in caplog.text

    with caplog.at_level(logging.DEBUG, "aio_pika.robust_channel"):
        await operator.queue_delete(topology.WORK_QUEUE)
        await operator.declare_queue(topology.WORK_QUEUE, durable=True)
        await eventually(has_tried)
    await operator.queue_delete(topology.WORK_QUEUE)

    assert await arrives(publisher, inbox)


async def test_a_sender_whose_channel_cannot_be_opened_again_takes_jobs_when_what_hindered_it_is_gone(
    consumed: AbstractQueue, inbox: Inbox, publisher: Publisher, operator: AbstractChannel
):
    channel = consumed.channel
    assert isinstance(channel, AbstractRobustChannel)
    with capture_logs() as lines:
        await hinder(operator, channel, topology.JOBS_EXCHANGE)
        await operator.exchange_delete(topology.JOBS_EXCHANGE)

        assert await arrives(publisher, inbox)

    [line] = [line for line in lines if line["event"] == "broker.renewed"]
    assert "inequivalent arg 'type' for exchange 'tocsin.jobs'" in line["error"]
