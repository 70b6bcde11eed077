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
async def queues(rabbitmq_url: str) -> AsyncIterator[dict[str, AbstractQueue]]:
    async with await broker.connect(rabbitmq_url, name="x", timeout_s=WAIT_S) as connection:
        yield await open_queues(connection, prefetch=8, tag="takes jobs")


@pytest.fixture
async def intake(queues: dict[str, AbstractQueue], inbox: Inbox) -> Intake:
    """One that is consuming, and only fills `inbox`."""
    unused: Any = None
    intake = Intake(unused, queues, inbox, unused, unused, unused, unused, unused, unused)
    await intake.consume()
    return intake


async def arrives(publisher: Publisher, inbox: Inbox) -> bool:
    """Whether what is published comes to the sender."""
    async with asyncio.timeout(WAIT_S):
        await publisher.insist([JobMessage(jobs=[JOB])])
        [delivery] = await inbox.take(1)
    return delivery.jobs == [JOB]


async def test_a_sender_takes_jobs_again_after_its_queue_was_deleted(
    intake: Intake, inbox: Inbox, publisher: Publisher, operator: AbstractChannel
):
    await operator.queue_delete(topology.WORK_QUEUE)

    assert await arrives(publisher, inbox)


async def test_a_sender_takes_jobs_again_when_its_queue_is_as_it_declares_it(
    intake: Intake,
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
    intake: Intake,
    queues: dict[str, AbstractQueue],
    inbox: Inbox,
    publisher: Publisher,
    operator: AbstractChannel,
):
    channel = queues["takes jobs"].channel
    assert isinstance(channel, AbstractRobustChannel)
    with capture_logs() as lines:
        await hinder(operator, channel, topology.JOBS_EXCHANGE)
        await operator.exchange_delete(topology.JOBS_EXCHANGE)

        assert await arrives(publisher, inbox)

    [line] = [line for line in lines if line["event"] == "broker.renewed"]
    assert "inequivalent arg 'type' for exchange 'tocsin.jobs'" in line["error"]


async def test_a_sender_that_has_some_of_its_consumers_takes_jobs_when_it_is_to_have_all(
    intake: Intake, inbox: Inbox, publisher: Publisher
):
    await intake.consume()

    assert await arrives(publisher, inbox)
