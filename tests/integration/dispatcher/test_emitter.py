"""Emission on a real database and broker: no lease, no row; no watermark before the last row."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from aio_pika.abc import AbstractRobustConnection

from tocsin_common import topology
from tocsin_common.messages import Job
from tocsin_common.settings import SchedulerSettings
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.scheduler.emitter import BrokenOffError, Emitter
from tocsin_dispatcher.scheduler.lease import Lease, LeaseLostError
from tocsin_dispatcher.scheduler.partitions import Partitions
from tocsin_dispatcher.scheduler.revision import NOWHERE, TICK, Owed, Policy, Position, Revision, Span, When
from waiting import becomes_true

from .conftest import DAY, announced, counted, shown

SAME_KEY = """
INSERT INTO executions (task_id, scheduled_for, destination, next_at, give_up_at) VALUES ($1, $2, '', $2, $2)
"""
SOMEBODY_WAITS_FOR_A_LOCK = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())
"""
PAUSE = "UPDATE scheduler_pause SET paused_at = clock_timestamp()"
PAUSE_WITH_THE_FIRST_ROWS = """
CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE scheduler_pause SET paused_at = clock_timestamp();
    RETURN NULL;
END
$$;
CREATE TRIGGER pause AFTER INSERT ON executions FOR EACH STATEMENT EXECUTE FUNCTION pause()
"""
SNAPSHOT = "1/1 700:700:"
LATER = DAY + timedelta(days=400)  # beyond the watermark that a fresh database begins with


@pytest.fixture
async def lease(pool: asyncpg.Pool) -> Lease:
    lease = Lease(pool, DatabaseClock(), holder="leader", ttl_s=30, renew_s=1, hold_s=20, reboot_after_s=60)
    await lease.take()
    return lease


@pytest.fixture
def emitter(
    pool: asyncpg.Pool,
    lease: Lease,
    clock: DatabaseClock,
    publisher: Publisher,
    scheduler_settings: Callable[..., SchedulerSettings],
) -> Emitter:
    settings = scheduler_settings(emission_chunk=2, jobs_per_message=2)
    return Emitter(pool, lease, clock, Partitions(pool), publisher, settings)


def owed_jobs(count: int) -> list[Owed]:
    return [Owed(Job(uuid4(), LATER, f"discord.com/{n % 2}"), "schedule", 0) for n in range(count)]


async def watermark(pool: asyncpg.Pool):
    return await pool.fetchval("SELECT watermark FROM scheduler_lease")


async def test_every_job_gets_a_row_and_is_announced(
    emitter: Emitter, pool: asyncpg.Pool, connection: AbstractRobustConnection
):
    owed = owed_jobs(5)

    await emitter.emit(owed, watermark=LATER)

    rows = await pool.fetch("SELECT task_id, state, next_at, destination FROM executions")
    assert {(row["task_id"], row["state"], row["next_at"], row["destination"]) for row in rows} == {
        (job.task_id, "due", LATER, job.destination) for job, _, _ in owed
    }
    assert sorted(job.task_id for job in await announced(connection, 5)) == sorted(
        owing.job.task_id for owing in owed
    )
    assert await watermark(pool) == LATER


async def test_emitting_again_adds_nothing(emitter: Emitter, pool: asyncpg.Pool):
    owed, before = owed_jobs(3), counted("executions_emitted")
    await emitter.emit(owed)
    await pool.execute("UPDATE executions SET state = 'succeeded'")

    await emitter.emit(owed)

    assert counted("executions_emitted") == before + 3
    assert await pool.fetchval("SELECT count(*) FROM executions WHERE state = 'succeeded'") == 3
    assert await pool.fetchval("SELECT count(*) FROM executions") == 3


async def test_the_watermark_moves_only_with_the_last_chunk(emitter: Emitter, pool: asyncpg.Pool):
    before = await watermark(pool)

    def broken_off() -> Iterator[Owed]:
        yield from owed_jobs(3)
        raise ConnectionError("the process dies here")

    with pytest.raises(ConnectionError):
        await emitter.emit(broken_off(), position=Position(7), watermark=LATER)

    assert await pool.fetchval("SELECT count(*) FROM executions") == 2
    assert await watermark(pool) == before
    assert await pool.fetchval("SELECT feed_xid FROM scheduler_lease") == 0


async def test_the_watermark_and_the_feeds_position_never_move_back(emitter: Emitter, pool: asyncpg.Pool):
    await emitter.emit([], position=Position(9, "9:9:"), watermark=LATER)

    await emitter.emit([], position=Position(3, "3:3:"), watermark=LATER - timedelta(seconds=5))

    assert await watermark(pool) == LATER
    assert tuple(await pool.fetchrow("SELECT feed_xid, feed_snapshot FROM scheduler_lease")) == (9, "9:9:")


async def test_what_is_settled_of_an_open_transactions_successors_moves_on_without_the_position(
    emitter: Emitter, pool: asyncpg.Pool
):
    await emitter.emit([], position=Position(9, "9:9:"))

    await emitter.emit([], position=Position(9, "9:30:9,20"))

    assert tuple(await pool.fetchrow("SELECT feed_xid, feed_snapshot FROM scheduler_lease")) == (9, "9:30:9,20")


async def test_a_scheduler_that_leads_no_more_leaves_no_row(emitter: Emitter, pool: asyncpg.Pool):
    before = await watermark(pool)
    await pool.execute("UPDATE scheduler_lease SET holder = 'another', epoch = epoch + 1")

    with pytest.raises(LeaseLostError):
        await emitter.emit(owed_jobs(1), watermark=LATER)

    assert await pool.fetchval("SELECT count(*) FROM executions") == 0
    assert await watermark(pool) == before


async def test_an_expired_lease_counts_as_lost_even_if_nobody_took_it(emitter: Emitter, pool: asyncpg.Pool):
    await pool.execute("UPDATE scheduler_lease SET expires_at = clock_timestamp() - interval '1 ms'")

    with pytest.raises(LeaseLostError):
        await emitter.emit(owed_jobs(1))

    assert await pool.fetchval("SELECT count(*) FROM executions") == 0


async def test_a_lease_that_was_taken_in_another_database_is_none(
    emitter: Emitter, lease: Lease, pool: asyncpg.Pool
):
    before, lease.database_id = await watermark(pool), "7/00000001"

    with pytest.raises(LeaseLostError):
        await emitter.emit(owed_jobs(1), watermark=LATER)
    for step in (
        emitter.close_gap(NOWHERE),
        emitter.freeze_gap(LATER, SNAPSHOT),
        emitter.adopt_position(Position(9), "7/00000001"),
    ):
        with pytest.raises(LeaseLostError):
            await step

    assert await pool.fetchval("SELECT count(*) FROM executions") == 0
    assert await watermark(pool) == before


async def test_what_is_missed_is_recorded_although_the_newest_was_emitted_by_the_schedule_before(
    emitter: Emitter, pool: asyncpg.Pool
):
    task_id, newest = uuid4(), LATER + timedelta(minutes=10)
    before = Revision(task_id.bytes, 1, LATER, True, "discord.com/1", When("*/10 * * * *"))
    since_then = Revision(task_id.bytes, 2, LATER, True, "discord.com/1", When("*/5 * * * *"), Policy("skip"))
    await emitter.emit([before.owed_at(newest)])

    span = Span(since_then, LATER + TICK, newest)
    await emitter.emit_spans([span], decided_at=newest + timedelta(hours=1))

    rows = await pool.fetch(
        "SELECT state, scheduled_for, missed_from, missed_count FROM executions ORDER BY scheduled_for"
    )
    assert [tuple(row) for row in rows] == [
        ("missed", newest - TICK, LATER + timedelta(minutes=5), 1),
        ("due", newest, None, None),
    ]


async def test_a_gap_leaves_a_row_for_what_fires_and_one_for_what_is_missed(emitter: Emitter, pool: asyncpg.Pool):
    task_id = uuid4()
    owner = Revision(task_id.bytes, 1, LATER, True, "discord.com/1", When("*/10 * * * *"))
    gap_end, before = LATER + timedelta(minutes=25), counted("executions_missed")
    await emitter.freeze_gap(gap_end, SNAPSHOT)

    await emitter.emit_spans([Span(owner, LATER, gap_end)], decided_at=gap_end)
    await emitter.close_gap(NOWHERE)

    assert counted("executions_missed") == before + 1
    rows = await pool.fetch(
        "SELECT state, scheduled_for, missed_from, missed_count FROM executions ORDER BY scheduled_for"
    )
    assert [tuple(row) for row in rows] == [
        ("missed", LATER + timedelta(minutes=10), LATER, 2),
        ("due", LATER + timedelta(minutes=20), None, None),
    ]
    assert await watermark(pool) == gap_end


async def test_what_was_emitted_before_the_gap_was_decided_does_not_count_as_missed(
    emitter: Emitter, pool: asyncpg.Pool
):
    owner = Revision(uuid4().bytes, 1, LATER, True, "discord.com/1", When("*/10 * * * *"))
    gap_end = LATER + timedelta(minutes=45)
    # The last leader died between two chunks of LATER, so the watermark lies before it.
    await emitter.emit([owner.owed_at(LATER)])

    await emitter.emit_spans([Span(owner, LATER, gap_end)], decided_at=gap_end)

    rows = await pool.fetch(
        "SELECT state, missed_from, scheduled_for, missed_count FROM executions ORDER BY scheduled_for"
    )
    assert [tuple(row) for row in rows] == [
        ("due", None, LATER, None),
        ("missed", LATER + timedelta(microseconds=1), LATER + timedelta(minutes=30), 3),
        ("due", None, LATER + timedelta(minutes=40), None),
    ]


@pytest.mark.parametrize("lost", ["missed", "due"])
async def test_after_a_crash_in_the_middle_of_a_late_change_a_later_decision_accounts_for_every_instant(
    emitter: Emitter, pool: asyncpg.Pool, lost: str
):
    owner = Revision(uuid4().bytes, 1, LATER, True, "discord.com/1", When("*/10 * * * * *"))
    span = Span(owner, LATER, LATER + timedelta(seconds=100))
    await pool.execute(
        f"""
        CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'crashed'; END $$;
        CREATE TRIGGER crash BEFORE INSERT ON executions FOR EACH ROW WHEN (NEW.state = '{lost}')
            EXECUTE FUNCTION crash();
        """
    )
    with pytest.raises(asyncpg.RaiseError):
        await emitter.emit_spans([span], decided_at=LATER + timedelta(seconds=110))
    await pool.execute("DROP TRIGGER crash ON executions")

    await emitter.emit_spans([span], decided_at=LATER + timedelta(seconds=300))

    rows = await pool.fetch(
        """
        SELECT COALESCE(missed_from, scheduled_for) AS first, scheduled_for AS last,
               COALESCE(missed_count, 1) AS count
        FROM executions
        """
    )
    owed = [LATER + timedelta(seconds=10 * n) for n in range(11)]
    stand_for = [sum(row["first"] <= at <= row["last"] for row in rows) for at in owed]
    assert stand_for == [1] * len(owed)
    assert sum(row["count"] for row in rows) == len(owed)


async def test_a_pause_stops_an_emission_after_its_chunk_and_what_was_committed_is_announced(
    emitter: Emitter, pool: asyncpg.Pool, connection: AbstractRobustConnection
):
    before = await watermark(pool)
    await pool.execute(PAUSE_WITH_THE_FIRST_ROWS)

    with pytest.raises(BrokenOffError, match="paused"):
        await emitter.emit(owed_jobs(5), watermark=LATER)

    rows = await pool.fetch("SELECT task_id FROM executions")
    assert {row["task_id"] for row in rows} == {job.task_id for job in await announced(connection, 2)}
    assert len(rows) == 2
    assert await watermark(pool) == before


async def test_nothing_is_emitted_and_nothing_moves_while_all_is_paused(emitter: Emitter, pool: asyncpg.Pool):
    before = await pool.fetchrow("SELECT watermark, feed_xid FROM scheduler_lease")
    await pool.execute(PAUSE)
    task = Revision(uuid4().bytes, 1, LATER, True, "discord.com/1", When("0 * * * *"))

    assert not await emitter.emit(owed_jobs(5), position=Position(9, "9:9:"), watermark=LATER)
    with pytest.raises(BrokenOffError, match="paused"):
        await emitter.emit_spans([Span(task, LATER, LATER)], decided_at=LATER, position=Position(9, "9:9:"))

    assert await pool.fetchval("SELECT count(*) FROM executions") == 0
    assert await pool.fetchrow("SELECT watermark, feed_xid FROM scheduler_lease") == before


async def test_a_pause_stops_catching_up_after_its_batch(emitter: Emitter, pool: asyncpg.Pool):
    tasks = [Revision(uuid4().bytes, 1, LATER, True, "discord.com/1", When("0 * * * *")) for _ in range(4)]
    await emitter.freeze_gap(LATER, SNAPSHOT)
    await pool.execute(PAUSE_WITH_THE_FIRST_ROWS)

    with pytest.raises(BrokenOffError, match="paused"):
        await emitter.emit_spans([Span(task, LATER, LATER) for task in tasks], decided_at=LATER)

    assert await pool.fetchval("SELECT count(*) FROM executions") == 2
    assert await pool.fetchval("SELECT gap_until FROM scheduler_lease") == LATER


async def test_a_gap_that_was_not_worked_off_is_inherited(emitter: Emitter, pool: asyncpg.Pool):
    before = await watermark(pool)
    await emitter.freeze_gap(LATER, SNAPSHOT)
    await pool.execute("UPDATE scheduler_lease SET expires_at = '-infinity'")

    standing = await Lease(
        pool, DatabaseClock(), holder="next", ttl_s=30, renew_s=1, hold_s=20, reboot_after_s=60
    ).take()

    assert standing is not None
    assert (standing.watermark, standing.gap_until) == (before, LATER)


async def test_nobody_takes_the_lease_while_missed_instants_are_recorded(emitter: Emitter, pool: asyncpg.Pool):
    owner = Revision(uuid4().bytes, 1, LATER, True, "discord.com/1", When("*/10 * * * *"), Policy("skip"))
    await Partitions(pool).cover([LATER.date()])
    async with pool.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute(SAME_KEY, owner.task_id, LATER)
        span = Span(owner, LATER, LATER + timedelta(minutes=5))
        recording = asyncio.create_task(emitter.emit_spans([span], decided_at=LATER + timedelta(minutes=30)))
        await becomes_true(pool, SOMEBODY_WAITS_FOR_A_LOCK)

        with pytest.raises(asyncpg.LockNotAvailableError):
            await pool.execute("SELECT FROM scheduler_lease FOR UPDATE NOWAIT")

        await transaction.rollback()
    await recording
    assert await pool.fetchval("SELECT state FROM executions") == "missed"


@pytest.mark.parametrize("step", ["freeze_gap", "close_gap"])
async def test_only_the_leader_decides_on_a_gap(emitter: Emitter, pool: asyncpg.Pool, step: str):
    await pool.execute("UPDATE scheduler_lease SET holder = 'another', epoch = epoch + 1")

    with pytest.raises(LeaseLostError):
        await (emitter.freeze_gap(LATER, SNAPSHOT) if step == "freeze_gap" else emitter.close_gap(NOWHERE))


async def test_a_work_queue_that_an_operator_deleted_is_made_anew_and_gets_the_jobs(
    emitter: Emitter, connection: AbstractRobustConnection
):
    channel = await connection.channel()
    await (await channel.get_underlay_channel()).queue_delete(topology.WORK_QUEUE)

    await asyncio.wait_for(emitter.emit(owed_jobs(2)), 20)

    assert len(await announced(connection, 2)) == 2


def lateness() -> float:
    """How many rows were counted so far, by how late they were written."""
    return shown("emission_lateness_seconds_count") or 0.0


async def test_each_new_row_is_counted_by_its_lateness(emitter: Emitter, pool: asyncpg.Pool):
    owed = owed_jobs(3)
    await emitter.emit(owed[:1])
    before, late_s = lateness(), shown("emission_lateness_seconds_sum")

    await emitter.emit(owed)

    assert lateness() == before + 2
    expected_s = 2 * (await pool.fetchval("SELECT clock_timestamp()") - LATER).total_seconds()
    assert shown("emission_lateness_seconds_sum") - late_s == pytest.approx(expected_s, abs=60)


async def test_rows_of_several_instants_are_counted_each_by_its_own(emitter: Emitter):
    jobs = [Owed(Job(uuid4(), LATER + timedelta(hours=n), ""), "schedule", 0) for n in range(2)]
    before, late_s = lateness(), shown("emission_lateness_seconds_sum")

    await emitter.emit(jobs)

    assert lateness() == before + 2
    one_s = shown("emission_lateness_seconds_sum") - late_s
    await emitter.emit([jobs[0], Owed(Job(uuid4(), LATER + timedelta(hours=1), ""), "schedule", 0)])
    assert lateness() == before + 2  # which of them is new cannot be told
    assert shown("emission_lateness_seconds_sum") - late_s == one_s
