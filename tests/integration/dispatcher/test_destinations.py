"""Slots at limited, saturated and broken destinations, on a real database."""

from datetime import datetime, timedelta

import asyncpg
import pytest

from tocsin_common.messages import Job
from tocsin_dispatcher.sender.destinations import MARGIN, MOST_REMEMBERED, Breaker, Destinations
from tocsin_dispatcher.sender.limits import NO_LIMIT, Told, Window
from tocsin_dispatcher.sender.outcome import Verdict
from tocsin_dispatcher.sender.post import Attempt

from .conftest import DAY

HERE, THERE = "discord.com/1", "discord.com/2"
ELSEWHERE = "https://hooks.example.org"
"""Not Discord's: nothing is guessed of its limit."""
WINDOW = Window(5, 60.0)
NEXT_S = WINDOW.length_s * MARGIN
BLOCKED_S = """
SELECT EXTRACT(EPOCH FROM GREATEST(blocked_until, clock_timestamp()) - clock_timestamp())::float8 FROM destinations
"""
SAYS_NOTHING = Told()
BREAKER = Breaker(failures=3, first_s=10, most_s=35, probe_s=12)


@pytest.fixture
def destinations(pool: asyncpg.Pool) -> Destinations:
    return Destinations(pool, in_flight_each=20, breaker=BREAKER)


@pytest.fixture
def other_sender(pool: asyncpg.Pool) -> Destinations:
    return Destinations(pool, in_flight_each=20, breaker=BREAKER)


@pytest.fixture
def some_jobs(add_task, add_execution):
    first = 0

    async def add(count: int, *, destination: str = HERE, state: str = "due") -> list[Job]:
        nonlocal first
        task_id = await add_task(destination=destination)
        first += count
        return [
            await add_execution(
                task_id, DAY + timedelta(seconds=first - count + n), destination=destination, state=state
            )
            for n in range(count)
        ]

    return add


@pytest.fixture
async def now(pool: asyncpg.Pool) -> datetime:
    moment: datetime = await pool.fetchval("SELECT clock_timestamp()")
    return moment


def answered(told: Told = SAYS_NOTHING, *, duration_s: float = 0.1) -> Attempt:
    return Attempt(DAY, duration_s, Verdict("succeeded", "HTTP 200", 200), told)


def broken(started_at: datetime) -> Attempt:
    return Attempt(started_at, 10.0, Verdict("retryable", "no answer within 10 s"), None)


def waits(parked: list[tuple[Job, float]], jobs: list[Job]) -> list[float]:
    """The seconds that each of `jobs` has to wait; 0 for those that go on at once."""
    by_job = dict(parked)
    return [by_job.get(job, 0.0) for job in jobs]


def nearly(*seconds: float):
    return pytest.approx(list(seconds), abs=1.5)


async def come_due(pool: asyncpg.Pool) -> None:
    await pool.execute("UPDATE executions SET next_at = clock_timestamp() - interval '1 s'")


# --- A limit that is known ------------------------------------------------------------------------------------


async def test_slots_are_given_window_by_window(destinations, some_jobs):
    await destinations.learn(HERE, answered(Told(window=WINDOW)))
    jobs = await some_jobs(12)

    parked = await destinations.park(jobs)

    assert waits(parked, jobs) == nearly(*[0] * 5, *[NEXT_S] * 5, *[2 * NEXT_S] * 2)


async def test_all_senders_share_the_slots(destinations, other_sender, some_jobs):
    await destinations.learn(HERE, answered(Told(window=WINDOW)))
    here, there = await some_jobs(3), await some_jobs(9)

    first, second = await destinations.park(here), await other_sender.park(there)

    assert waits(first, here) == [0, 0, 0]
    assert waits(second, there) == nearly(0, 0, *[NEXT_S] * 5, *[2 * NEXT_S] * 2)


async def test_a_slot_is_given_once(destinations, some_jobs, pool):
    await destinations.learn(HERE, answered(Told(window=WINDOW)))
    jobs = await some_jobs(12)
    await destinations.park(jobs)
    await come_due(pool)

    assert await destinations.park(jobs[5:]) == []


async def test_a_retry_needs_a_slot_of_its_own(destinations, some_jobs):
    await destinations.learn(HERE, answered(Told(window=WINDOW)))
    await destinations.park(await some_jobs(5))
    retries = await some_jobs(1, state="waiting")

    parked = await destinations.park(retries)

    assert waits(parked, retries) == nearly(NEXT_S)


async def test_a_window_that_is_over_begins_anew(destinations, some_jobs, pool):
    await destinations.learn(HERE, answered(Told(window=WINDOW)))
    await destinations.park(await some_jobs(5))
    await pool.execute("UPDATE destinations SET slots_from = slots_from - interval '2 min'")
    jobs = await some_jobs(6)

    assert waits(await destinations.park(jobs), jobs) == nearly(*[0] * 5, NEXT_S)


async def test_a_window_that_the_receiver_calls_used_up_is_closed(destinations, some_jobs):
    await destinations.learn(HERE, answered(Told(window=WINDOW)))
    await destinations.park(await some_jobs(2))

    await destinations.learn(HERE, answered(Told(is_used_up=True, resets_after_s=40)))

    jobs = await some_jobs(2)
    assert waits(await destinations.park(jobs), jobs) == nearly(*[40 + NEXT_S - 60] * 2)


async def test_a_window_that_is_used_up_as_was_reckoned_changes_nothing(destinations, some_jobs, pool):
    await destinations.learn(HERE, answered(Told(window=WINDOW)))
    await destinations.park(await some_jobs(5))
    before = await pool.fetchrow("SELECT * FROM destinations")

    await destinations.learn(HERE, answered(Told(is_used_up=True, resets_after_s=59.9)))

    assert await pool.fetchrow("SELECT * FROM destinations") == before


async def test_a_lone_post_is_not_counted(destinations, some_jobs, pool):
    await destinations.learn(HERE, answered(Told(window=WINDOW)))

    assert await destinations.park(await some_jobs(1)) == []

    assert await pool.fetchval("SELECT slots_used FROM destinations") == 0


async def test_one_that_follows_a_lone_post_is_counted(destinations, some_jobs, pool):
    await destinations.learn(HERE, answered(Told(window=WINDOW)))
    destinations.enter(HERE)

    assert await destinations.park(await some_jobs(1)) == []

    assert await pool.fetchval("SELECT slots_used FROM destinations") == 1


async def test_what_was_learned_is_written_once(destinations, pool):
    await destinations.learn(HERE, answered(Told(bucket="one", window=WINDOW)))
    before = await pool.fetchval("SELECT updated_at FROM destinations")

    await destinations.learn(HERE, answered(Told(bucket="one", window=Window(5, 59.9))))
    await destinations.learn(HERE, answered(Told(bucket="one")))
    await destinations.learn(HERE, answered(Told(window=NO_LIMIT)))

    assert await pool.fetchval("SELECT updated_at FROM destinations") == before


async def test_a_limit_that_changed_is_believed(destinations, some_jobs):
    await destinations.learn(HERE, answered(Told(window=Window(1, 60))))
    await destinations.learn(HERE, answered(Told(window=WINDOW)))
    jobs = await some_jobs(5)

    assert await destinations.park(jobs) == []


async def test_figures_of_another_bucket_are_forgotten(destinations, pool):
    await destinations.learn(HERE, answered(Told(bucket="one", window=WINDOW)))

    await destinations.learn(HERE, answered(Told(bucket="two")))

    assert tuple(await pool.fetchrow("SELECT bucket, window_limit FROM destinations")) == ("two", None)


# --- A limit that is not known ----------------------------------------------------------------------------------


async def test_of_discord_a_limit_is_guessed_and_what_it_leaves_asks_again(destinations, some_jobs, pool):
    jobs = await some_jobs(13)

    parked = await destinations.park(jobs)

    assert waits(parked, jobs) == nearly(*[0] * 5, *[2 * MARGIN] * 8)
    await destinations.learn(HERE, answered(Told(window=WINDOW)))
    await come_due(pool)
    again = await destinations.park(jobs[5:])
    assert waits(again, jobs[5:]) == nearly(*[NEXT_S] * 5, *[2 * NEXT_S] * 3)


async def test_a_webhook_that_names_no_limit_has_none(destinations, some_jobs):
    await destinations.learn(HERE, answered(Told(window=NO_LIMIT)))

    assert await destinations.park(await some_jobs(15)) == []


async def test_of_others_nothing_is_guessed_and_nothing_written(destinations, some_jobs, pool):
    assert await destinations.park(await some_jobs(15, destination=ELSEWHERE)) == []
    await destinations.learn(ELSEWHERE, answered(Told(window=NO_LIMIT)))

    assert await pool.fetchval("SELECT count(*) FROM destinations") == 0


async def test_others_that_tell_a_limit_are_believed(destinations, some_jobs):
    await destinations.learn(ELSEWHERE, answered(Told(window=WINDOW)))
    jobs = await some_jobs(6, destination=ELSEWHERE)

    assert waits(await destinations.park(jobs), jobs) == nearly(*[0] * 5, NEXT_S)


# --- Blocks -----------------------------------------------------------------------------------------------------


async def test_a_block_holds_for_all_and_slots_begin_at_its_end(destinations, other_sender, some_jobs):
    await destinations.learn(HERE, answered(Told(window=WINDOW, blocked_s=100)))
    jobs = await some_jobs(6)

    parked = await other_sender.park(jobs)

    assert waits(parked, jobs) == nearly(*[100] * 5, 100 + NEXT_S)


async def test_a_lone_job_waits_for_the_end_of_a_block_too(destinations, some_jobs):
    await destinations.learn(ELSEWHERE, answered(Told(blocked_s=100)))
    jobs = await some_jobs(1, destination=ELSEWHERE)

    assert waits(await destinations.park(jobs), jobs) == nearly(100)


async def test_a_slot_that_a_block_moved_past_is_given_anew(destinations, some_jobs, pool):
    await destinations.learn(HERE, answered(Told(window=WINDOW)))
    jobs = await some_jobs(6)
    await destinations.park(jobs)
    await come_due(pool)
    await destinations.learn(HERE, answered(Told(blocked_s=500)))

    assert waits(await destinations.park(jobs[5:]), jobs[5:]) == nearly(500)


async def test_a_block_is_never_shortened(destinations, some_jobs):
    await destinations.learn(HERE, answered(Told(blocked_s=100)))
    await destinations.learn(HERE, answered(Told(blocked_s=1)))
    jobs = await some_jobs(1)

    assert waits(await destinations.park(jobs), jobs) == nearly(100)


async def test_other_destinations_do_not_wait(destinations, some_jobs):
    await destinations.learn(HERE, answered(Told(blocked_s=100)))
    blocked, free = await some_jobs(1), await some_jobs(1, destination=THERE)

    parked = await destinations.park([*blocked, *free])

    assert [job for job, _ in parked] == blocked


async def test_nobody_waits_longer_than_until_an_execution_is_given_up(destinations, some_jobs, pool):
    await destinations.learn(HERE, answered(Told(blocked_s=50_000)))
    jobs = await some_jobs(1)
    await pool.execute("UPDATE executions SET give_up_at = clock_timestamp() + interval '100 s'")

    assert waits(await destinations.park(jobs), jobs) == nearly(100)


@pytest.mark.parametrize("state", ["running", "succeeded", "failed", "cancelled"])
async def test_only_what_is_due_or_waits_is_moved(destinations, some_jobs, state: str):
    await destinations.learn(HERE, answered(Told(blocked_s=100)))

    assert await destinations.park(await some_jobs(1, state=state)) == []


# --- Saturation -------------------------------------------------------------------------------------------------


async def test_what_is_too_much_for_a_sender_waits_one_after_the_other(destinations, some_jobs):
    begin, crowded = await some_jobs(1, destination=ELSEWHERE), await some_jobs(3, destination=ELSEWHERE)

    parked = await destinations.park(begin, crowded)

    assert [job for job, _ in parked] == crowded
    assert all(0 < wait_s < 1 for _, wait_s in parked)
    assert len({wait_s for _, wait_s in parked}) == 3


async def test_who_waits_for_room_waits_as_long_as_posts_take(pool, some_jobs):
    destinations = Destinations(pool, in_flight_each=1, breaker=BREAKER)
    for _ in range(20):
        await destinations.learn(ELSEWHERE, answered(duration_s=30))
    jobs = await some_jobs(2, destination=ELSEWHERE)

    assert waits(await destinations.park([], jobs), jobs) == nearly(30, 60)


# --- The breaker ------------------------------------------------------------------------------------------------


async def test_failures_in_a_row_block_and_one_job_is_the_probe_afterwards(
    destinations, other_sender, some_jobs, pool, now
):
    jobs = await some_jobs(3, destination=ELSEWHERE)
    for _ in range(BREAKER.failures):
        assert await destinations.park(jobs) == []
        await destinations.learn(ELSEWHERE, broken(now))
    assert waits(await destinations.park(jobs), jobs) == pytest.approx([10, 10, 10], abs=3)
    await come_due(pool)
    await pool.execute("UPDATE destinations SET blocked_until = clock_timestamp()")

    probing = await destinations.park(jobs)

    assert waits(probing, jobs) == pytest.approx([0, 12, 12], abs=3)
    more = await some_jobs(1, destination=ELSEWHERE)
    assert waits(await other_sender.park(more), more) == pytest.approx([12], abs=3)


async def test_each_failed_probe_doubles_the_block_up_to_the_most(destinations, some_jobs, pool, now):
    found = []
    for n in range(BREAKER.failures + 3):
        await destinations.learn(ELSEWHERE, broken(now + timedelta(hours=n)))
        found.append(await pool.fetchval(BLOCKED_S))
        await pool.execute("UPDATE destinations SET blocked_until = clock_timestamp()")

    assert found == pytest.approx([0, 0, 10, 20, 35, 35], abs=3)


async def test_those_that_fail_together_are_one_failure_once_the_block_began(destinations, pool, now):
    for _ in range(10):
        await destinations.learn(ELSEWHERE, broken(now))

    assert await pool.fetchval("SELECT failures FROM destinations") == BREAKER.failures


async def test_a_sane_answer_ends_the_block_and_forgets_the_failures(destinations, other_sender, some_jobs, now):
    for _ in range(BREAKER.failures):
        await destinations.learn(ELSEWHERE, broken(now))
    jobs = await some_jobs(2, destination=ELSEWHERE)
    assert len(await other_sender.park(jobs[:1])) == 1

    await other_sender.learn(ELSEWHERE, answered())

    assert await destinations.park(jobs[1:]) == []


@pytest.mark.parametrize(
    ("outcome", "status", "counts"),
    [
        ("retryable", None, True),
        ("retryable", 503, True),
        ("retryable", 408, False),
        ("permanent", 400, False),
        ("limited", 429, False),
        ("succeeded", 200, False),
    ],
)
async def test_only_a_receiver_that_does_not_answer_sanely_fails(
    destinations, pool, outcome, status, counts: bool
):
    attempt = Attempt(DAY, 0.1, Verdict(outcome, "as it was", status), None if status is None else Told())

    await destinations.learn(ELSEWHERE, attempt)

    assert (await pool.fetchval("SELECT max(failures) FROM destinations") == 1) is counts


async def test_what_is_remembered_of_destinations_is_bounded(destinations):
    for number in range(2 * MOST_REMEMBERED):
        destinations.enter(f"https://{number}.example.org")
        await destinations.learn(f"https://{number}.example.org", answered())

    assert max(len(kept) for kept in vars(destinations).values() if isinstance(kept, dict)) == MOST_REMEMBERED
