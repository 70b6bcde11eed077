"""The claim on a real database: one sender at a time, never early, and what stops an execution."""

import asyncio
import random
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from tocsin_common import database
from tocsin_common.messages import Job
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.sender.claim import Claims

from .conftest import DAY


@pytest.fixture
def claims(pool: asyncpg.Pool) -> Claims:
    return Claims(pool, DatabaseClock(), sender="sender-1", ttl_s=30)


@pytest.mark.parametrize(
    ("row", "is_granted"),
    [
        ({"state": "due"}, True),
        ({"state": "waiting"}, True),
        ({"state": "running", "next_in_s": -1, "seq": 1}, True),  # its claim has expired
        ({"state": "running", "next_in_s": 20, "seq": 1}, False),
        ({"state": "due", "next_in_s": 5}, False),
        ({"state": "waiting", "next_in_s": 5}, False),
        ({"state": "succeeded"}, False),
        ({"state": "failed"}, False),
        ({"state": "cancelled"}, False),
    ],
)
async def test_a_claim_is_granted_to_what_is_due_and_not_taken(claims, add_task, add_execution, row, is_granted):
    job = await add_execution(await add_task(), **row)

    claimed = await claims.claim([job])

    assert [grant.job for grant in claimed.grants] == ([job] if is_granted else [])


async def test_a_grant_brings_what_the_post_needs(claims, add_task, add_execution, pool: asyncpg.Pool):
    job = await add_execution(await add_task(max_retry=7), failures=2, seq=4)

    [grant] = (await claims.claim([job])).grants

    assert (grant.seq, grant.failures, grant.max_retry) == (5, 2, 7)
    assert grant.payload == '{"content": "hello"}'
    row = await pool.fetchrow(
        "SELECT state, seq, claimed_by, next_at > clock_timestamp() AS lives FROM executions"
    )
    assert tuple(row) == ("running", 5, "sender-1", True)


async def test_an_expired_claim_that_is_granted_again_counts_as_lost(claims, add_task, add_execution, pool):
    job = await add_execution(await add_task(), state="running", next_in_s=-1, seq=1)

    await claims.claim([job])

    assert await pool.fetchval("SELECT lost_claims FROM executions") == 1


async def test_what_is_not_due_yet_comes_with_its_wait(claims, add_task, add_execution):
    job = await add_execution(await add_task(), state="waiting", next_in_s=5)

    [(early, wait_s)] = (await claims.claim([job])).not_due

    assert early == job
    assert wait_s == pytest.approx(5, abs=1)


@pytest.mark.parametrize(
    ("status", "kind", "state", "reason"),
    [
        ("ACTIVE", "schedule", "running", None),
        ("INACTIVE", "schedule", "cancelled", "the task is INACTIVE"),
        ("FAILED", "schedule", "cancelled", "the task is FAILED"),
        ("INACTIVE", "reboot", "cancelled", "the task is INACTIVE"),
        ("INACTIVE", "manual", "running", None),
        ("FAILED", "once", "running", None),
        ("DELETED", "schedule", "cancelled", "the task was deleted"),
        ("DELETED", "manual", "cancelled", "the task was deleted"),
    ],
)
async def test_a_stopped_task_stops_what_its_schedule_owes(
    claims, add_task, add_execution, pool, status, kind, state, reason
):
    job = await add_execution(await add_task(status=status), kind=kind)

    claimed = await claims.claim([job])

    assert len(claimed.grants) == (state == "running")
    assert tuple(await pool.fetchrow("SELECT state, reason FROM executions")) == (state, reason)


async def test_an_execution_whose_task_is_gone_is_cancelled(claims, add_execution, pool):
    job = await add_execution(uuid4())

    claimed = await claims.claim([job])

    assert claimed.grants == []
    assert await pool.fetchval("SELECT state FROM executions") == "cancelled"


async def test_a_job_without_a_row_is_dropped(claims, partitions):
    claimed = await claims.claim([Job(uuid4(), DAY, "discord.com/1")])

    assert claimed == ([], [])


async def test_a_claim_that_is_given_back_costs_nothing(claims, add_task, add_execution, pool):
    job = await add_execution(await add_task())
    grants = (await claims.claim([job])).grants

    await claims.give_back(grants)

    assert tuple(await pool.fetchrow("SELECT state, failures, lost_claims FROM executions")) == ("waiting", 0, 0)
    assert len((await claims.claim([job])).grants) == 1


async def test_a_claim_that_another_has_taken_over_is_not_given_back(claims, add_task, add_execution, pool):
    job = await add_execution(await add_task())
    grants = (await claims.claim([job])).grants
    await pool.execute("UPDATE executions SET seq = seq + 1, claimed_by = 'sender-2'")

    await claims.give_back(grants)

    assert await pool.fetchval("SELECT state FROM executions") == "running"


async def test_many_senders_that_claim_the_same_jobs_get_each_once(database_url, add_task, add_execution):
    task_id = await add_task()
    jobs = [await add_execution(task_id, DAY + timedelta(seconds=n)) for n in range(100)]

    async def claim_all(name: str) -> list[Job]:
        async with await database.open_pool(database_url, size=4, name=name, timeout_s=10) as pool:
            claims = Claims(pool, DatabaseClock(), sender=name, ttl_s=30)
            shuffled = random.Random(name).sample(jobs, len(jobs))  # noqa: S311 - an order, not a secret
            packs = [shuffled[n : n + 25] for n in range(0, 100, 25)]
            claimed = await asyncio.gather(*(claims.claim(pack) for pack in packs))
            return [grant.job for part in claimed for grant in part.grants]

    granted = await asyncio.gather(*(claim_all(f"sender-{n}") for n in range(4)))

    assert sorted(job.scheduled_for for part in granted for job in part) == [job.scheduled_for for job in jobs]
