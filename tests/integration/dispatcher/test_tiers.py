"""Waiting in a retry tier or in memory, on a real broker."""

import asyncio
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import pytest
from aio_pika.abc import AbstractRobustConnection

from relay import Relay
from tocsin_common import broker
from tocsin_common.messages import Job, JobMessage
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.sender.inbox import Inbox
from tocsin_dispatcher.sender.tiers import Waits
from waiting import WAIT_S

from .conftest import DAY, announced

MOST = 10


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def waits(inbox: Inbox, publisher: Publisher) -> Waits:
    return Waits(inbox, publisher, most_in_memory=MOST, briefly_s=2.0, at_once=100)


async def of_a_sender(connection: AbstractRobustConnection, inbox: Inbox) -> Waits:
    """Of one with a connection of its own to RabbitMQ."""
    publisher = await Publisher.open(connection, window=100, timeout_s=WAIT_S)
    return Waits(inbox, publisher, most_in_memory=MOST, briefly_s=2.0, at_once=100)


class Hesitating:
    """In a publisher's place: it takes nothing until it is told to."""

    def __init__(self) -> None:
        self.is_answering = asyncio.Event()
        self.taken: list[Job] = []

    async def publish_all(self, messages: Iterable[JobMessage], _queue: str) -> list[JobMessage]:
        """Confirms all."""
        await self.is_answering.wait()
        self.taken += [job for message in messages for job in message.jobs]
        return []


def a_job() -> Job:
    return Job(uuid4(), DAY, "discord.com/1")


async def test_what_waits_for_moments_comes_back_to_the_inbox(inbox: Inbox, waits: Waits):
    job = a_job()

    await waits.hold([(job, 0.05)])

    [delivery] = await asyncio.wait_for(inbox.take(50), 5)
    assert delivery.jobs == [job]


async def test_what_is_in_a_tier_does_not_wait_in_memory_too(waits: Waits):
    await waits.hold([(a_job(), 512.0), (a_job(), 1.0)])

    assert waits.in_memory() == 0


async def test_what_rabbitmq_does_not_confirm_comes_back_in_time_all_the_same(inbox: Inbox, rabbitmq_url: str):
    job = a_job()
    async with (
        Relay(rabbitmq_url) as relay,
        await broker.connect(relay.url, name="a test", timeout_s=WAIT_S) as connection,
    ):
        waits = await of_a_sender(connection, inbox)
        relay.mute()
        holding = asyncio.create_task(waits.hold([(job, 1.0)]))

        [delivery] = await asyncio.wait_for(inbox.take(50), WAIT_S)

        assert delivery.jobs == [job]
        assert not holding.done()
        relay.unmute()
        await holding
    assert waits.in_memory() == 0


async def test_who_has_come_back_meanwhile_is_not_put_into_a_tier(inbox: Inbox):
    first, second = a_job(), a_job()
    publisher: Any = Hesitating()
    waits = Waits(inbox, publisher, most_in_memory=MOST, briefly_s=2.0, at_once=1)
    holding = [asyncio.create_task(waits.hold([(job, wait_s)])) for job, wait_s in ((first, 512.0), (second, 1.0))]

    [delivery] = await asyncio.wait_for(inbox.take(50), WAIT_S)
    publisher.is_answering.set()
    await asyncio.gather(*holding)

    assert delivery.jobs == [second]
    assert publisher.taken == [first]


async def test_where_memory_is_full_a_tier_alone_has_what_waits(inbox: Inbox, rabbitmq_url: str):
    jobs = [a_job() for _ in range(MOST + 1)]
    async with (
        Relay(rabbitmq_url) as relay,
        await broker.connect(relay.url, name="a test", timeout_s=WAIT_S) as connection,
    ):
        waits = await of_a_sender(connection, inbox)
        relay.mute()
        holding = asyncio.create_task(waits.hold([(job, 512.0) for job in jobs]))
        await relay.hears(str(jobs[-1].task_id).encode())

        assert waits.in_memory() == MOST
        relay.unmute()
        await holding
    assert waits.in_memory() == 0


async def test_at_shutdown_other_senders_get_what_waits_and_what_came_back_unclaimed(
    inbox: Inbox, waits: Waits, connection: AbstractRobustConnection
):
    waiting, came_back = a_job(), a_job()
    await waits.hold([(came_back, 0.05)])
    for delivery in await asyncio.wait_for(inbox.take(50), 5):
        inbox.put(delivery)
    await waits.hold([(waiting, 0.9)])
    inbox.close()

    await waits.hand_over()

    assert set(await announced(connection, 2)) == {waiting, came_back}
