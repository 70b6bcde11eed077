"""Recording outcomes on a real database: who may write a state, and what is written in any case."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from tocsin_common.messages import Job, execution_id
from tocsin_dispatcher.sender.claim import Claims, Grant
from tocsin_dispatcher.sender.outcome import Verdict
from tocsin_dispatcher.sender.post import Attempt
from tocsin_dispatcher.sender.record import Recorder, RefusedOutcomeError

from .conftest import DAY

OK = Verdict("succeeded", "HTTP 204", 204)
BROKEN = Verdict("retryable", "HTTP 500", 500)


@pytest.fixture
def granted(pool: asyncpg.Pool, clock, add_task, add_execution):
    """A fresh execution of a fresh task, claimed."""

    async def grant(**task: Any) -> Grant:
        job = await add_execution(await add_task(**task))
        [granted] = (await Claims(pool, clock, sender="sender-1", ttl_s=30).claim([job])).grants
        return granted

    return grant


def attempt(verdict: Verdict) -> Attempt:
    return Attempt(DAY, 0.1234, verdict, None)


async def execution(pool: asyncpg.Pool) -> asyncpg.Record:
    return await pool.fetchrow("SELECT * FROM executions")


async def logs(pool: asyncpg.Pool) -> list[asyncpg.Record]:
    return await pool.fetch("SELECT * FROM task_logs ORDER BY seq")


async def test_a_success_ends_the_execution(recorder: Recorder, granted, pool: asyncpg.Pool):
    recorded = await recorder.record(await granted(), attempt(OK))

    row = await execution(pool)
    assert (row["state"], row["claimed_by"], row["reason"]) == ("succeeded", None, None)
    assert row["finished_at"] is not None
    assert recorded.counts
    [log] = await logs(pool)
    assert (log["status"], log["outcome"], log["http_status"], log["retry_count"]) == (
        "SUCCESS",
        "succeeded",
        204,
        0,
    )
    assert (log["execution_time"], log["duration_ms"], log["message"]) == (DAY, 123, "HTTP 204")


async def test_a_failure_that_may_be_retried_waits(recorder: Recorder, granted, pool: asyncpg.Pool):
    recorded = await recorder.record(await granted(), attempt(BROKEN))

    row = await execution(pool)
    assert (row["state"], row["failures"], row["finished_at"]) == ("waiting", 1, None)
    left_s = await pool.fetchval("SELECT EXTRACT(EPOCH FROM next_at - clock_timestamp()) FROM executions")
    assert 0 < left_s <= 1.2
    assert 1 <= recorded.next.wait_s <= 1.2
    assert [log["status"] for log in await logs(pool)] == ["RETRYING"]


async def test_the_last_failure_fails_the_execution(recorder: Recorder, granted, pool: asyncpg.Pool):
    recorded = await recorder.record(await granted(max_retry=0), attempt(BROKEN))

    row = await execution(pool)
    assert (row["state"], row["reason"]) == ("failed", "retries exhausted: HTTP 500")
    assert recorded.failures_in_row == 1
    assert [log["status"] for log in await logs(pool)] == ["FAILED"]


async def test_an_outcome_that_was_overtaken_is_logged_but_changes_nothing(recorder, granted, pool):
    grant = await granted()
    await pool.execute("UPDATE executions SET seq = seq + 1, claimed_by = 'sender-2'")

    recorded = await recorder.record(grant, attempt(BROKEN))

    row = await execution(pool)
    assert (row["state"], row["claimed_by"], row["failures"]) == ("running", "sender-2", 0)
    assert not recorded.counts
    assert [log["seq"] for log in await logs(pool)] == [grant.seq]


@pytest.mark.parametrize("state", ["running", "waiting", "failed", "cancelled", "due"])
async def test_a_success_beats_every_other_state_however_late(recorder, granted, pool, state):
    grant = await granted()
    await pool.execute("UPDATE executions SET seq = seq + 1, state = $1", state)

    recorded = await recorder.record(grant, attempt(OK))

    assert (await execution(pool))["state"] == "succeeded"
    assert recorded.counts


async def test_a_success_is_not_undone_by_a_later_failure(recorder, granted, pool):
    grant = await granted()
    await recorder.record(grant, attempt(OK))

    recorded = await recorder.record(grant._replace(seq=grant.seq + 1), attempt(BROKEN))

    assert (await execution(pool))["state"] == "succeeded"
    assert not recorded.counts
    assert len(await logs(pool)) == 2


async def test_the_same_outcome_twice_is_recorded_once(recorder, granted, pool):
    grant = await granted()
    await recorder.record(grant, attempt(OK))

    again = await recorder.record(grant, attempt(OK))

    assert not again.counts
    assert len(await logs(pool)) == 1


async def test_failures_in_a_row_are_counted_until_a_success(recorder, granted, add_execution, pool, clock):
    grant = await granted(max_retry=0)
    claims = Claims(pool, clock, sender="sender-1", ttl_s=30)
    counted = [(await recorder.record(grant, attempt(BROKEN))).failures_in_row]
    for second, verdict in enumerate([BROKEN, OK, BROKEN], 1):
        job = await add_execution(grant.job.task_id, DAY.replace(second=second))
        [following] = (await claims.claim([job])).grants
        counted.append((await recorder.record(following, attempt(verdict))).failures_in_row)

    assert counted == [1, 2, 0, 1]


async def test_outcomes_that_come_together_are_recorded_together(recorder, granted, pool):
    grants = [await granted(max_retry=0) for _ in range(20)]
    verdicts = [OK if n % 2 else BROKEN for n in range(20)]

    pairs = zip(grants, verdicts, strict=True)
    recorded = await asyncio.gather(*(recorder.record(grant, attempt(verdict)) for grant, verdict in pairs))

    assert [part.next.state for part in recorded] == ["succeeded" if n % 2 else "failed" for n in range(20)]
    assert await pool.fetchval("SELECT count(*) FROM task_logs") == 20


async def test_two_outcomes_of_one_execution_at_once_are_both_logged(recorder, granted, pool):
    grant = await granted()

    await asyncio.gather(
        recorder.record(grant, attempt(BROKEN)),
        recorder.record(grant._replace(seq=grant.seq + 1), attempt(OK)),
    )

    assert (await execution(pool))["state"] == "succeeded"
    assert len(await logs(pool)) == 2


async def refuse_by_constraint(pool: asyncpg.Pool, task_id: UUID) -> None:
    """The logs take no message of this task."""
    await pool.execute(f"ALTER TABLE task_logs ADD CHECK (task_id <> '{task_id}')")


async def refuse_by_trigger(pool: asyncpg.Pool, task_id: UUID) -> None:
    """What an operator made raises an error of their own, with the row in it."""
    await pool.execute(f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'not this one: %', NEW.message; END $$;
        CREATE TRIGGER refuses BEFORE INSERT ON task_logs FOR EACH ROW
        WHEN (NEW.task_id = '{task_id}') EXECUTE FUNCTION refuse();
    """)


async def refuse_nothing(_: asyncpg.Pool, __: UUID) -> None:
    """The value alone is what cannot be stored."""


@pytest.mark.parametrize(
    ("refuse", "message", "status", "kind", "sqlstate"),
    [
        pytest.param(refuse_nothing, "NUL \x00", 400, "CharacterNotInRepertoireError", "22021", id="a value"),
        pytest.param(refuse_nothing, "odd", 2**16, "DataError", "22000", id="a number that cannot be sent"),
        pytest.param(refuse_nothing, "\udcff", 400, "DataError", "22000", id="a text that cannot be sent"),
        pytest.param(refuse_by_constraint, "odd", 400, "CheckViolationError", "23514", id="a constraint"),
        pytest.param(refuse_by_trigger, "odd", 400, "RaiseError", "P0001", id="a trigger"),
    ],
)
async def test_an_outcome_that_the_database_refuses_does_not_take_its_neighbours_with_it(
    recorder, granted, pool, refuse, message: str, status: int, kind: str, sqlstate: str
):
    grants = [await granted() for _ in range(3)]
    [bad, *good] = grants
    await refuse(pool, bad.job.task_id)
    verdicts = [Verdict("permanent", message, status), OK, BROKEN]

    with capture_logs() as log:
        pairs = zip(grants, verdicts, strict=True)
        results = await asyncio.gather(
            *(recorder.record(grant, attempt(verdict)) for grant, verdict in pairs), return_exceptions=True
        )

    refused, *recorded = results
    assert isinstance(refused, RefusedOutcomeError)
    assert log == [
        {
            "event": "outcome.refused",
            "log_level": "error",
            "execution_id": str(execution_id(bad.job.task_id, bad.job.scheduled_for)),
            "task_id": str(bad.job.task_id),
            "error": kind,
            "sqlstate": sqlstate,
        }
    ]
    assert message not in str(refused)
    assert [part.counts for part in recorded] == [True, True]
    states = await pool.fetch("SELECT task_id, state FROM executions")
    assert {row["task_id"]: row["state"] for row in states} == {
        bad.job.task_id: "running",
        good[0].job.task_id: "succeeded",
        good[1].job.task_id: "waiting",
    }


async def test_after_a_refusal_the_recording_goes_on(recorder, granted, pool):
    bad, later = await granted(), await granted()
    await refuse_by_trigger(pool, bad.job.task_id)
    with pytest.raises(RefusedOutcomeError):
        await asyncio.wait_for(recorder.record(bad, attempt(OK)), 5)

    recorded = await asyncio.wait_for(recorder.record(later, attempt(OK)), 5)

    assert recorded.counts


async def test_a_refused_outcome_that_nobody_waits_for_any_more_does_not_end_the_recording(
    recorder, granted, pool
):
    neighbour, bad, later = await granted(), await granted(), await granted()
    unstorable = Verdict("permanent", "NUL \x00 in it", 400)
    abandoned = recorder.record(bad, attempt(unstorable))
    await asyncio.sleep(0)  # it begins
    abandoned.cancel()
    await asyncio.wait({abandoned})
    await asyncio.wait_for(recorder.record(neighbour, attempt(OK)), 5)

    recorded = await asyncio.wait_for(recorder.record(later, attempt(OK)), 5)

    assert recorded.counts


async def test_a_log_of_an_execution_without_a_row_is_written_too(recorder, granted, partitions, pool):
    grant = (await granted())._replace(job=Job(uuid4(), DAY, "discord.com/1"))

    recorded = await recorder.record(grant, attempt(OK))

    assert not recorded.counts
    assert await pool.fetchval("SELECT count(*) FROM task_logs WHERE task_id = $1", grant.job.task_id) == 1
