"""What was replayed, at the claim and when its outcome is recorded."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tocsin_common.messages import Job
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.sender.backoff import Backoff
from tocsin_dispatcher.sender.claim import Claims
from tocsin_dispatcher.sender.outcome import Verdict
from tocsin_dispatcher.sender.post import Attempt
from tocsin_dispatcher.sender.record import Recorder

from .conftest import DAY

SECOND = timedelta(seconds=1)
REPLAY = """
SELECT refusal FROM replay_executions($1, $2, $3, clock_timestamp(), interval '0', interval '1 day')
ORDER BY scheduled_for, task_id
"""


@pytest.fixture
def claims(pool: asyncpg.Pool) -> Claims:
    return Claims(pool, DatabaseClock(), sender="sender-1", ttl_s=30)


@pytest.fixture
def add_replayed(pool: asyncpg.Pool, add_execution) -> Callable[..., Awaitable[Job]]:
    """Write an execution that waits since its replay, a second after the task's revision came into force."""

    async def add(
        task_id, scheduled_for: datetime = DAY, *, replayed_at: datetime = DAY + SECOND, **row: Any
    ) -> Job:
        job: Job = await add_execution(task_id, scheduled_for, **{"state": "waiting", "seq": 4, **row})
        await pool.execute(
            "UPDATE executions SET replayed_at = $3 WHERE (scheduled_for, task_id) = ($1, $2)",
            scheduled_for,
            task_id,
            replayed_at,
        )
        return job

    return add


@pytest.mark.parametrize(
    ("status", "row", "state", "reason"),
    [
        ("ACTIVE", {}, "running", None),
        ("INACTIVE", {}, "running", None),
        ("INACTIVE", {"kind": "reboot"}, "running", None),
        ("INACTIVE", {"replayed_at": DAY - SECOND}, "failed", "the task is INACTIVE"),  # it was stopped since
        ("INACTIVE", {"replayed_at": DAY - SECOND, "kind": "reboot"}, "failed", "the task is INACTIVE"),
        ("INACTIVE", {"replayed_at": DAY - SECOND, "kind": "manual"}, "running", None),
        ("INACTIVE", {"replayed_at": DAY - SECOND, "kind": "once"}, "running", None),
        ("ACTIVE", {"replayed_at": DAY - SECOND}, "running", None),
        ("FAILED", {}, "failed", "the task is FAILED"),
        ("FAILED", {"replayed_at": DAY - SECOND}, "failed", "the task is FAILED"),
        ("FAILED", {"kind": "manual"}, "running", None),
        ("DELETED", {}, "cancelled", "the task was deleted"),
    ],
)
async def test_what_was_replayed_goes_on_unless_its_task_was_stopped_since(
    claims, add_task, add_replayed, pool, status, row, state, reason
):
    job = await add_replayed(await add_task(status=status), **row)

    claimed = await claims.claim([job])

    assert len(claimed.grants) == (state == "running")
    shown = await pool.fetchrow("SELECT state, reason, finished_at IS NOT NULL, seq FROM executions")
    assert tuple(shown) == (state, reason, state != "running", 5 if state == "running" else 4)


async def test_what_its_stopped_task_failed_can_be_replayed_again(claims, add_task, add_replayed, pool):
    task_id = await add_task(status="FAILED")
    await claims.claim([await add_replayed(task_id)])

    await pool.execute("UPDATE tasks SET status = 'ACTIVE', effective_from = clock_timestamp()")
    refusal = await pool.fetchval(REPLAY, [DAY], [task_id], DAY)

    assert refusal is None
    assert len((await claims.claim([Job(task_id, DAY, "discord.com/1")])).grants) == 1


async def test_what_was_replayed_does_not_expire(claims, add_task, add_replayed):
    job = await add_replayed(await add_task(expires_after_s=60))

    assert len((await claims.claim([job])).grants) == 1


async def test_what_was_replayed_is_not_skipped_for_what_is_under_way(
    claims, add_task, add_execution, add_replayed
):
    task_id = await add_task(overlap="skip")
    await add_execution(task_id, DAY, state="running", seq=1, next_in_s=20)
    job = await add_replayed(task_id, DAY + SECOND, seq=0)  # given up before anybody had taken it

    assert len((await claims.claim([job])).grants) == 1


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ({"next_in_s": 20}, "running"),  # its turn has not come
        ({"next_in_s": 20, "seq": 5, "failures": 1}, "running"),
        ({"next_in_s": 20, "seq": 5, "state": "running"}, "skipped"),
    ],
)
async def test_what_was_replayed_stands_in_the_way_only_while_it_runs(
    claims, add_task, add_execution, add_replayed, pool, row, state
):
    task_id = await add_task(overlap="skip")
    await add_replayed(task_id, DAY, **row)

    await claims.claim([await add_execution(task_id, DAY + SECOND)])

    assert await pool.fetchval("SELECT state FROM executions ORDER BY scheduled_for DESC LIMIT 1") == state


@pytest.fixture
async def recorder(pool: asyncpg.Pool) -> AsyncIterator[Recorder]:
    """One with small batches, so that replays come in between."""
    recorder = Recorder(pool, Backoff(1, 512, 0.2), batch=10, delay_s=0.0)
    running = asyncio.create_task(recorder.run())
    yield recorder
    running.cancel()


def attempt(verdict: Verdict) -> Attempt:
    return Attempt(DAY, 0.1, verdict, None)


OK = Verdict("succeeded", "HTTP 204", 204)
BROKEN = Verdict("retryable", "HTTP 500", 500)


async def test_a_success_that_is_recorded_while_a_replay_runs_is_never_lost(
    claims, recorder, add_task, add_execution, pool
):
    """A sender was frozen after the answer; its executions were given up meanwhile."""
    task_id = await add_task()
    jobs = [await add_execution(task_id, DAY + n * SECOND) for n in range(100)]
    grants = (await claims.claim(jobs)).grants
    await pool.execute("UPDATE executions SET state = 'failed', reason = 'given up: lost claims'")

    replaying = [pool.fetch(REPLAY, [job.scheduled_for], [job.task_id], DAY) for job in jobs[::-1]]
    recording = [recorder.record(grant, attempt(OK)) for grant in grants]
    answers = await asyncio.gather(*recording, *replaying)

    assert {row["refusal"] for rows in answers[len(grants) :] for row in rows} <= {None, "succeeded"}
    assert [row["state"] for row in await pool.fetch("SELECT DISTINCT state FROM executions")] == ["succeeded"]
    assert await pool.fetchval("SELECT count(*) FROM task_logs WHERE status = 'SUCCESS'") == 100


async def test_a_replayed_execution_has_all_its_retries_again_and_goes_on_in_the_log(
    claims, recorder, add_task, add_execution, pool
):
    task_id = await add_task(max_retry=1)
    job = await add_execution(task_id, DAY, state="running", seq=1, failures=1, next_in_s=-1)
    [grant] = (await claims.claim([job])).grants
    failed = await recorder.record(grant, attempt(BROKEN))
    await pool.fetch(REPLAY, [DAY], [task_id], DAY)

    [again] = (await claims.claim([job])).grants
    retried = await recorder.record(again, attempt(BROKEN))

    assert (failed.next.state, retried.next.state) == ("failed", "waiting")
    logs = await pool.fetch("SELECT seq, status, retry_count FROM task_logs ORDER BY seq")
    assert [tuple(log) for log in logs] == [(2, "FAILED", 1), (3, "RETRYING", 0)]


async def test_an_outcome_of_before_the_replay_does_not_fail_it(claims, recorder, add_task, add_execution, pool):
    task_id = await add_task(max_retry=0)
    [grant] = (await claims.claim([await add_execution(task_id)])).grants
    await pool.execute("UPDATE executions SET state = 'failed', reason = 'given up: lost claims'")
    await pool.fetch(REPLAY, [DAY], [task_id], DAY)

    recorded = await recorder.record(grant, attempt(BROKEN))

    assert not recorded.counts
    row = await pool.fetchrow("SELECT state, reason, failures FROM executions")
    assert tuple(row) == ("waiting", None, 0)
