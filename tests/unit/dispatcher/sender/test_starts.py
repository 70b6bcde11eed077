"""The order in which POSTs begin and answers are attended to."""

import asyncio
from typing import Any

from tocsin_dispatcher.sender.slots import Slots
from tocsin_dispatcher.sender.starts import AT_A_TIME, Starts


async def begin_all(starts: Starts, begun: list[Any]) -> None:
    while True:
        begun += await starts.take()


def grants(count: int) -> list[Any]:
    return list(range(count))


async def test_answers_wait_until_all_have_begun():
    starts, begun = Starts(Slots(50)), []
    starts.put(grants(10))
    answer = asyncio.create_task(starts.all_begun())

    beginning = asyncio.create_task(begin_all(starts, begun))
    await answer

    assert begun == grants(10)
    beginning.cancel()


async def test_few_begin_at_a_time_and_in_order():
    starts = Starts(Slots(50))
    starts.put(grants(AT_A_TIME + 1))

    assert await starts.take() == grants(AT_A_TIME)
    assert await starts.take() == [AT_A_TIME]


async def test_those_that_were_taken_have_their_turn_before_any_answer():
    starts, order = Starts(Slots(50)), []
    starts.put(grants(1))

    async def attend() -> None:
        await starts.all_begun()
        order.append("attended")

    async def begin() -> None:
        order.append("begun")

    async def loop() -> None:
        while True:
            for _ in await starts.take():
                tasks.append(asyncio.create_task(begin()))

    tasks = [asyncio.create_task(attend())]
    beginning = asyncio.create_task(loop())
    await tasks[0]

    assert order == ["begun", "attended"]
    beginning.cancel()


async def test_where_nothing_waits_to_begin_answers_do_not_wait():
    starts = Starts(Slots(50))
    starts.put([])

    await asyncio.wait_for(starts.all_begun(), 1)


async def test_what_comes_while_none_is_there_begins_at_once():
    starts = Starts(Slots(50))
    taking = asyncio.create_task(starts.take())
    await asyncio.sleep(0)

    starts.put(grants(2))

    assert await taking == grants(2)


async def test_while_most_slots_are_in_use_answers_do_not_wait():
    slots = Slots(50)
    starts = Starts(slots)
    starts.put(grants(30))
    await slots.take(24)
    waiting = asyncio.create_task(starts.few_left())
    await asyncio.sleep(0)
    assert not waiting.done()

    await slots.take(1)

    await asyncio.wait_for(starts.few_left(), 1)
    waiting.cancel()
