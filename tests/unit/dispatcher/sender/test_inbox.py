"""What waits for a claim, and the slots it waits for."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from tocsin_common.messages import Job
from tocsin_dispatcher.sender.inbox import Delivery, Inbox
from tocsin_dispatcher.sender.slots import Slots


def delivery(jobs: int) -> Delivery:
    instant = datetime(2026, 3, 1, tzinfo=UTC)
    return Delivery([Job(UUID(int=n), instant, "discord.com/1") for n in range(jobs)], None)


async def test_deliveries_are_taken_together_up_to_a_claims_worth():
    inbox = Inbox()
    for jobs in (20, 20, 20):
        inbox.put(delivery(jobs))

    first, second = await inbox.take(50), await inbox.take(50)

    assert [len(taken.jobs) for taken in first] == [20, 20]
    assert [len(taken.jobs) for taken in second] == [20]


async def test_a_large_delivery_is_taken_alone():
    inbox = Inbox()
    inbox.put(delivery(50))
    inbox.put(delivery(1))

    assert [len(taken.jobs) for taken in await inbox.take(50)] == [50]


async def test_taking_waits_for_the_first_delivery():
    inbox = Inbox()
    taking = asyncio.create_task(inbox.take(50))
    await asyncio.sleep(0)

    inbox.put(delivery(1))

    assert len(await taking) == 1


async def test_a_closed_inbox_gives_nothing():
    inbox = Inbox()
    inbox.put(delivery(1))
    inbox.close()

    assert await inbox.take(50) == []


async def test_slots_are_taken_several_at_a_time_in_the_order_of_asking():
    slots = Slots(3)
    order: list[str] = []

    async def take(name: str, number: int) -> None:
        await slots.take(number)
        order.append(name)

    await take("first", 2)
    large = asyncio.create_task(take("large", 3))
    await asyncio.sleep(0)
    small = asyncio.create_task(take("small", 1))
    await asyncio.sleep(0)
    assert order == ["first"]  # the small one must not starve the large one

    slots.give(2)
    await large
    slots.give(3)
    await small

    assert order == ["first", "large", "small"]
