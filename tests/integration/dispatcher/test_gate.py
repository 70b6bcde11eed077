"""What an execution passes before its POST, on a real database."""

import asyncio
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
import structlog

from tocsin_common import database
from tocsin_common.messages import Job
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.sender.budget import Rules
from tocsin_dispatcher.sender.claim import Claims
from tocsin_dispatcher.sender.crowd import Crowd
from tocsin_dispatcher.sender.destinations import Destinations
from tocsin_dispatcher.sender.egress import Egress
from tocsin_dispatcher.sender.gate import OVERFLOW, Gate
from tocsin_dispatcher.sender.limits import NO_LIMIT, Told, Window
from tocsin_dispatcher.sender.outcome import Verdict
from tocsin_dispatcher.sender.post import Attempt
from tocsin_dispatcher.sender.room import Breaker
from tocsin_dispatcher.sender.slots import Slots

from .conftest import DAY

HERE, THERE, ELSEWHERE = "discord.com/1", "discord.com/2", "https://hooks.example.org"
SLOTS = 20
NO_UPDATE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON executions FOR EACH ROW EXECUTE FUNCTION refuse();
"""
BREAKER = Breaker(failures=1, first_s=10, most_s=35, probe_s=12)


class Stage:
    """A gate, and what it brings back."""

    def __init__(self, pool: asyncpg.Pool, *, most_waiting: int = 100, posts_per_s: int = 50) -> None:
        self.back: list[Job] = []
        self.slots = Slots(SLOTS)
        self.crowd = Crowd(most_each=5, most_waiting=most_waiting, bring_back=self.back.append)
        self.gate = Gate(
            self.slots,
            self.crowd,
            Destinations(pool, breaker=BREAKER),
            Egress(pool, group="one", rules=Rules(posts_per_s, 10_000)),
            Claims(pool, DatabaseClock(), sender="sender-1", ttl_s=30),
        )


@pytest.fixture
def stage(pool: asyncpg.Pool) -> Callable[..., Stage]:
    def build(**changes: Any) -> Stage:
        return Stage(pool, **changes)

    return build


@pytest.fixture
def some_jobs(add_task, add_execution):
    first = 0

    async def add(count: int, destination: str = ELSEWHERE, *, now_at: str | None = None, **row: Any) -> list[Job]:
        """Executions of a task whose destination is `now_at` by now."""
        nonlocal first
        first += count
        task_id = await add_task(destination=now_at or destination)
        instants = [DAY + timedelta(seconds=n) for n in range(first - count, first)]
        return [await add_execution(task_id, instant, destination=destination, **row) for instant in instants]

    return add


def answered(told: Told, outcome: Any = "succeeded") -> Attempt:
    return Attempt(DAY, 0.1, Verdict(outcome, "HTTP 200", 200), told)


def broken() -> Attempt:
    return Attempt(DAY, 10.0, Verdict("retryable", "no answer within 10 s"), None)


async def free_slots(stage: Stage) -> int:
    """How many a take can have without waiting."""
    taken = 0
    while taken < SLOTS:
        taking = asyncio.create_task(stage.slots.take(1))
        await asyncio.sleep(0)
        if not taking.done():
            taking.cancel()
            break
        taken += 1
    stage.slots.give(taken)
    return taken


async def test_what_there_is_room_for_is_granted_and_the_others_wait_in_memory(stage, some_jobs, pool):
    here, jobs = stage(), await some_jobs(7)

    passed = await here.gate.admit(jobs)

    assert [grant.job for grant in passed.grants] == jobs[:5]
    assert await free_slots(here) == SLOTS - 5
    for grant in passed.grants[:2]:
        await here.gate.leave(grant)
        here.gate.finish(grant)
    assert here.back == jobs[5:]
    assert await pool.fetchval("SELECT count(*) FROM executions WHERE state = 'due'") == 2


async def test_those_that_are_too_many_for_the_memory_wait_in_a_tier(stage, some_jobs, pool):
    here, jobs = stage(most_waiting=1), await some_jobs(8)

    passed = await here.gate.admit(jobs)

    assert [job for job, _ in passed.waits] == jobs[6:]
    assert [wait_s for _, wait_s in passed.waits] == pytest.approx([OVERFLOW.seconds] * 2, abs=0.5)
    assert await pool.fetchval("SELECT count(*) FROM executions WHERE state = 'waiting'") == 2


async def test_a_limit_and_the_address_are_asked_before_anything_is_claimed(stage, some_jobs, pool):
    here = stage(posts_per_s=6)
    await here.gate.learn((await some_jobs(1, HERE))[0], answered(Told(window=Window(2, 20.0))))
    await here.gate.learn((await some_jobs(1, THERE))[0], answered(Told(window=NO_LIMIT)))
    limited, free = await some_jobs(4, HERE), await some_jobs(4, THERE)

    passed = await here.gate.admit([*limited, *free])

    assert [grant.job for grant in passed.grants] == [*limited[:2], free[0]]
    assert {job for job, _ in passed.waits} == {*limited[2:], *free[1:]}
    waiting = await pool.fetch("SELECT has_waited FROM executions WHERE state = 'waiting'")
    assert [row["has_waited"] for row in waiting] == [True] * 5


async def test_what_turned_its_back_on_a_destination_asks_at_the_other_one(stage, some_jobs):
    here = stage()
    await here.gate.learn((await some_jobs(1, HERE))[0], answered(Told(window=Window(2, 20.0))))
    jobs = await some_jobs(5, ELSEWHERE, now_at=HERE)

    first = await here.gate.admit(jobs)
    again = await here.gate.admit(first.moved)

    assert list(first.grants) == []
    assert [job.destination for job in first.moved] == [HERE] * 5
    assert (len(again.grants), len(again.waits)) == (2, 3)
    assert await free_slots(here) == SLOTS - 2


async def test_slots_and_room_are_free_again_where_the_database_goes(database_url, some_jobs):
    async with await database.open_pool(database_url, size=2, name="test", timeout_s=10) as closing:
        here = Stage(closing)
    jobs = await some_jobs(5)

    for _ in range(2):
        with pytest.raises(asyncpg.InterfaceError):
            await here.gate.admit(jobs)

    assert await free_slots(here) == SLOTS


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_probe_that_is_not_posted_leaves_that_to_the_next_one(
    stage, some_jobs, pool, *, is_cancelled: bool
):
    here = stage()
    [first], [second] = await some_jobs(1), await some_jobs(1)
    await here.gate.learn(first, broken())
    await pool.execute("UPDATE destinations SET broken_until = 'epoch'")
    if is_cancelled:
        await pool.execute("UPDATE tasks SET status = 'INACTIVE' WHERE id = $1", first.task_id)

    passed = await here.gate.admit([first])
    for grant in passed.grants:  # as where its payload is refused
        await here.gate.leave(grant)

    assert len(passed.grants) == (0 if is_cancelled else 1)
    assert [grant.job for grant in (await here.gate.admit([second])).grants] == [second]


async def test_a_claim_that_ran_out_waits_for_a_block_as_well(stage, some_jobs, pool):
    here = stage()
    jobs = await some_jobs(1, state="running", next_in_s=-1, seq=1)
    await here.gate.learn(jobs[0], answered(Told(blocked_s=50)))

    passed = await here.gate.admit(jobs)

    assert (list(passed.grants), passed.waits) == ([], [(jobs[0], pytest.approx(50, abs=5))])
    assert tuple(await pool.fetchrow("SELECT state, lost_claims FROM executions")) == ("waiting", 1)


async def test_an_answer_that_the_database_refuses_stands_in_nobodys_way(stage, some_jobs):
    here, jobs = stage(), await some_jobs(1, HERE)

    with structlog.testing.capture_logs() as logs:
        await here.gate.learn(jobs[0], answered(Told(bucket="a secret \udcff")))

    assert [line["event"] for line in logs] == ["limit.not_shared"]
    assert "secret" not in str(logs)
    assert len((await here.gate.admit(jobs)).grants) == 1


async def test_what_was_not_due_when_it_asked_is_not_claimed_although_it_is_due_by_then(stage, some_jobs, pool):
    here = stage()
    jobs = await some_jobs(6, HERE)
    await here.gate.learn(jobs[0], answered(Told(window=Window(2, 60.0))))
    await pool.execute("UPDATE executions SET next_at = clock_timestamp() + interval '0.2 s'")

    passed = await here.gate.admit(jobs[:3])

    assert (list(passed.grants), {job for job, _ in passed.not_due}) == ([], set(jobs[:3]))
    assert await free_slots(here) == SLOTS


async def test_those_behind_one_that_found_no_room_wait_with_it(stage, some_jobs, pool):
    here, jobs = stage(), await some_jobs(60)
    [first, *_] = (await here.gate.admit(jobs)).grants
    await here.gate.learn(first.job, answered(Told(blocked_s=50)))
    await here.gate.leave(first)

    passed = await here.gate.admit(here.back)

    assert (list(passed.grants), len(passed.waits)) == ([], 51)
    assert await pool.fetchval("SELECT count(*) FROM executions WHERE state = 'waiting'") == 51


async def test_those_behind_that_find_room_of_their_own_go_on_waiting_in_memory(stage, some_jobs, pool):
    """They may not begin: there are as many in flight as may be."""
    here = stage(posts_per_s=2)
    await here.gate.learn((await some_jobs(1, HERE))[0], answered(Told(window=NO_LIMIT)))
    jobs = await some_jobs(8, HERE)

    passed = await here.gate.admit(jobs)

    assert (len(passed.grants), len(passed.waits)) == (1, 4)
    assert await pool.fetchval("SELECT count(*) FROM executions WHERE state = 'due'") == 1 + 3


async def test_room_of_those_behind_that_the_address_refuses_is_others_again(stage, some_jobs, pool):
    here = stage(posts_per_s=2)
    await here.gate.learn((await some_jobs(1, HERE))[0], answered(Told(window=Window(8, 20.0))))

    passed = await here.gate.admit(await some_jobs(8, HERE))
    await here.gate.admit(here.back)

    assert len(passed.grants) == 1
    assert await pool.fetchval("SELECT window_used FROM destinations") == 1


async def test_those_behind_are_not_forgotten_where_they_cannot_be_put_off(stage, some_jobs, pool):
    here, jobs = stage(), await some_jobs(9)
    [first, *_] = (await here.gate.admit(jobs)).grants
    await here.gate.learn(first.job, answered(Told(blocked_s=50)))
    await here.gate.leave(first)
    await pool.execute(NO_UPDATE)

    with pytest.raises(asyncpg.RaiseError):
        await here.gate.admit(here.back)

    assert {*here.back, *here.crowd.take_all()} == set(jobs[5:])


async def test_room_of_those_that_the_address_refuses_is_others_again(stage, some_jobs, pool):
    here = stage(posts_per_s=2)
    await here.gate.learn((await some_jobs(1, HERE))[0], answered(Told(window=Window(4, 20.0))))

    passed = await here.gate.admit(await some_jobs(4, HERE))

    assert (len(passed.grants), len(passed.waits)) == (1, 3)
    assert await pool.fetchval("SELECT window_used FROM destinations") == 1


async def test_a_lone_post_is_remembered_and_counts_when_another_one_follows(stage, some_jobs, pool):
    here = stage()
    await here.gate.learn((await some_jobs(1, HERE))[0], answered(Told(window=Window(5, 60.0))))
    await here.gate.admit(await some_jobs(1, HERE))

    await here.gate.admit(await some_jobs(1, HERE))

    assert await pool.fetchval("SELECT window_used FROM destinations") == 2


async def test_refusals_by_the_address_count_as_those_of_the_webhook(stage, some_jobs):
    here, [job] = stage(), await some_jobs(1, HERE)
    refused = Attempt(DAY, 0.1, Verdict("limited", "HTTP 429", 429, is_guess=True), Told(5.0, is_everywhere=True))
    await here.gate.learn(job, refused)
    await here.gate.admit(await some_jobs(2, THERE))

    assert here.gate.refusals(THERE) == 1
    assert here.gate.refusals(ELSEWHERE) == 0


async def test_what_is_not_posted_may_be_past_its_time_and_does_not_ask_again_and_again(stage, some_jobs):
    here = stage()
    jobs = await some_jobs(1, give_up_in_s=-5)
    await here.gate.learn(jobs[0], answered(Told(blocked_s=50)))

    [(_, wait_s)] = (await here.gate.admit(jobs)).waits

    assert wait_s == pytest.approx(1.0, abs=0.5)


async def test_a_destination_that_no_index_takes_is_as_any_other_value_that_cannot_be_stored(stage, some_jobs):
    here, strange = stage(), f"https://{secrets.token_urlsafe(9000)}/1"
    jobs = await some_jobs(10, HERE)
    forged = [msgspec.structs.replace(job, destination=strange) for job in jobs]

    with pytest.raises(database.DATA_ERRORS):
        await here.gate.admit(forged)
    alone = await stage().gate.admit(forged[:1])

    assert list(alone.moved) == jobs[:1]
