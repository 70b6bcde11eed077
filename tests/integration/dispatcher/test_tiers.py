"""Waiting in a retry tier or in memory, on a real broker."""

import asyncio
from uuid import uuid4

import pytest
from aio_pika.abc import AbstractRobustConnection

from tocsin_common.messages import Job
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.sender.inbox import Inbox
from tocsin_dispatcher.sender.tiers import Waits

from .conftest import DAY, announced


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def waits(inbox: Inbox, publisher: Publisher) -> Waits:
    return Waits(inbox, publisher, most_in_memory=10, briefly_s=2.0)


def a_job() -> Job:
    return Job(uuid4(), DAY, "discord.com/1")


async def test_what_waits_for_moments_comes_back_to_the_inbox(inbox: Inbox, waits: Waits):
    job = a_job()

    await waits.hold([(job, 0.05)])

    [delivery] = await asyncio.wait_for(inbox.take(50), 5)
    assert delivery.jobs == [job]


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
