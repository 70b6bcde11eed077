"""Slots at limited and saturated destinations, on a real database."""

from datetime import timedelta

import asyncpg
import pytest

from tocsin_dispatcher.sender.destinations import MOST_REMEMBERED, Destinations
from tocsin_dispatcher.sender.outcome import Limit

from .conftest import DAY

HERE, THERE = "discord.com/1", "discord.com/2"


@pytest.fixture
def destinations(pool: asyncpg.Pool) -> Destinations:
    return Destinations(pool, in_flight_each=2)


@pytest.fixture
def some_jobs(add_task, add_execution):
    async def add(count: int, *, destination: str = HERE, state: str = "due", first: int = 0):
        task_id = await add_task(destination=destination)
        return [
            await add_execution(task_id, DAY + timedelta(seconds=first + n), destination=destination, state=state)
            for n in range(count)
        ]

    return add


async def limit(destinations: Destinations, blocked_s: float, spacing_s: float) -> None:
    await destinations.learn(HERE, Limit(0.0, spacing_s))
    await destinations.learn(HERE, Limit(blocked_s, 0.0))


async def test_what_has_room_is_not_parked(destinations, some_jobs):
    assert await destinations.park(await some_jobs(2)) == []


async def test_a_blocked_destination_gets_slots_after_the_block_spaced_as_it_allows(destinations, some_jobs, pool):
    jobs = await some_jobs(2)
    await limit(destinations, 5, 0.4)

    parked = await destinations.park(jobs)

    assert [job for job, _ in parked] == jobs
    assert [wait_s for _, wait_s in parked] == [pytest.approx(5, abs=1), pytest.approx(5.4, abs=1)]
    assert parked[1][1] - parked[0][1] == pytest.approx(0.4, abs=0.01)
    assert await pool.fetchval("SELECT count(*) FROM executions WHERE state = 'waiting'") == 2


async def test_a_slot_is_given_once_and_later_jobs_queue_behind_it(destinations, some_jobs):
    await limit(destinations, 5, 0.4)

    [(_, first_wait_s)] = await destinations.park(await some_jobs(1))
    [(_, second_wait_s)] = await destinations.park(await some_jobs(1, first=1))

    assert second_wait_s - first_wait_s == pytest.approx(0.4, abs=0.1)


async def test_a_waiting_execution_keeps_its_slot_when_its_time_has_come(destinations, some_jobs, pool):
    await limit(destinations, 5, 0.4)
    jobs = await some_jobs(1)
    await destinations.park(jobs)
    await pool.execute("UPDATE executions SET next_at = clock_timestamp()")
    await pool.execute("UPDATE destinations SET blocked_until = clock_timestamp()")

    assert await destinations.park(jobs) == []


async def test_a_waiting_execution_gets_a_new_slot_when_a_block_moved_past_it(destinations, some_jobs):
    jobs = await some_jobs(1, state="waiting")
    await limit(destinations, 5, 0.4)

    [(_, wait_s)] = await destinations.park(jobs)

    assert wait_s == pytest.approx(5, abs=1)


async def test_other_destinations_do_not_wait(destinations, some_jobs):
    await limit(destinations, 5, 0.4)
    blocked, free = await some_jobs(1), await some_jobs(1, destination=THERE)

    parked = await destinations.park([*blocked, *free])

    assert [job for job, _ in parked] == blocked


async def test_more_than_a_sender_may_have_in_flight_waits_briefly(destinations, some_jobs):
    destinations.enter(HERE)
    jobs = await some_jobs(3)

    parked = await destinations.park(jobs)

    assert [job for job, _ in parked] == jobs[1:]
    assert all(0 < wait_s < 1 for _, wait_s in parked)
    destinations.leave(HERE, 0.01)
    assert await destinations.park(await some_jobs(2, first=10)) == []


@pytest.mark.parametrize("state", ["running", "succeeded", "failed", "cancelled"])
async def test_only_what_is_due_or_waits_is_moved(destinations, some_jobs, state):
    await limit(destinations, 5, 0.4)

    assert await destinations.park(await some_jobs(1, state=state)) == []


async def test_a_block_is_never_shortened(destinations, pool):
    await limit(destinations, 60, 0.4)

    await destinations.learn(HERE, Limit(1.0, 0.0))

    left_s = await pool.fetchval("SELECT EXTRACT(EPOCH FROM blocked_until - clock_timestamp()) FROM destinations")
    assert left_s > 30


async def test_a_limit_that_was_loosened_spaces_less(destinations, some_jobs):
    await limit(destinations, 1, 60)
    await limit(destinations, 5, 0.4)

    parked = await destinations.park(await some_jobs(2))

    assert parked[1][1] - parked[0][1] == pytest.approx(0.4, abs=0.01)


async def test_a_block_that_says_nothing_of_the_spacing_leaves_it_alone(destinations, pool):
    await limit(destinations, 5, 0.4)

    await Destinations(pool, in_flight_each=2).learn(HERE, Limit(5.0, 0.0))

    assert await pool.fetchval("SELECT spacing_s FROM destinations") == 0.4


async def test_what_is_remembered_of_destinations_is_bounded(destinations):
    for number in range(2 * MOST_REMEMBERED):
        destinations.enter(f"discord.com/{number}")
        destinations.leave(f"discord.com/{number}", 0.01)
        await destinations.learn(f"discord.com/{number}", Limit(0.0, 0.4))

    assert max(len(kept) for kept in vars(destinations).values() if isinstance(kept, dict)) == MOST_REMEMBERED


async def test_an_answer_without_a_block_writes_nothing(destinations, pool):
    await destinations.learn(HERE, Limit(0.0, 0.4))

    assert await pool.fetchval("SELECT count(*) FROM destinations") == 0
