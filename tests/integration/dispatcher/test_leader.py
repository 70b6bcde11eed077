"""The leader's loop, on a real database and broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from aio_pika.abc import AbstractRobustConnection

from tocsin_common import topology
from tocsin_common.messages import decode_jobs
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.scheduler.emitter import Emitter
from tocsin_dispatcher.scheduler.feed import Feed
from tocsin_dispatcher.scheduler.leader import Leader
from tocsin_dispatcher.scheduler.lease import Lease
from tocsin_dispatcher.scheduler.partitions import Partitions
from waiting import becomes_true, eventually

PASSED = "SELECT watermark > $1 FROM scheduler_lease"
ROWS = "SELECT kind, state, scheduled_for, jitter_ms FROM executions WHERE task_id = $1 ORDER BY scheduled_for"
PAUSE = "UPDATE scheduler_pause SET paused_at = clock_timestamp()"
RESUME = "UPDATE scheduler_pause SET paused_at = NULL"


@pytest.fixture
async def lease(pool: asyncpg.Pool, clock: DatabaseClock) -> Lease:
    return Lease(pool, clock, holder="leader", ttl_s=60, renew_s=1, hold_s=50, reboot_after_s=60)


@pytest.fixture
async def wake() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def leader(
    pool: asyncpg.Pool,
    lease: Lease,
    clock: DatabaseClock,
    publisher: Publisher,
    wake: asyncio.Event,
    scheduler_settings: Callable[..., Any],
) -> Leader:
    settings = scheduler_settings(feed_poll_s=0.2, drift_check_s=0.3, catch_up_grace_s=5, lease_renew_s=0.2)
    emitter = Emitter(pool, lease, clock, Partitions(pool), publisher, settings)
    return Leader(lease, Feed(pool, clock), emitter, publisher, clock, wake, settings)


@pytest.fixture
def leading(leader: Leader, lease: Lease) -> Callable[[], Any]:
    """Leads while the block lasts."""

    @asynccontextmanager
    async def leading() -> AsyncIterator[None]:
        stop, standing = asyncio.Event(), await lease.take()
        assert standing is not None
        async with asyncio.TaskGroup() as group:
            group.create_task(leader.lead(standing, stop))
            yield
            stop.set()

    return leading


@pytest.fixture
async def now(pool: asyncpg.Pool) -> Any:
    return await pool.fetchval("SELECT clock_timestamp()")


async def becomes_paused(pool: asyncpg.Pool, wake: asyncio.Event) -> None:
    """Pause, and return once the leader has seen it: then the watermark stands still."""
    await pool.execute(PAUSE)
    wake.set()
    question, before = "SELECT watermark FROM scheduler_lease", None

    async def stands_still() -> bool:
        nonlocal before
        last, before = before, await pool.fetchval(question)
        await becomes_true(pool, "SELECT clock_timestamp() > $1", before + timedelta(seconds=1))
        return last == before

    await eventually(stands_still)


async def test_the_feed_is_read_although_the_databases_clock_was_set_back(
    leading, pool: asyncpg.Pool, add_task, now
):
    ahead = now + timedelta(hours=1)
    await pool.execute("UPDATE scheduler_lease SET watermark = $1", ahead)  # as it was before that
    async with leading():
        await becomes_true(pool, "SELECT database_id IS NOT NULL FROM scheduler_lease")

        task_id = await add_task(cron="*/10 * * * *", effective_from=now)

        await becomes_true(pool, "SELECT count(*) > 0 FROM executions WHERE task_id = $1", task_id)
    assert await pool.fetchval("SELECT watermark = $1 FROM scheduler_lease", ahead)


async def test_a_one_off_is_emitted_at_its_instant_and_once(leading, pool: asyncpg.Pool, add_task, now):
    run_at = now + timedelta(milliseconds=700)
    task_id = await add_task(cron=None, run_at=run_at, effective_from=now)

    async with leading():
        await becomes_true(pool, PASSED, run_at + timedelta(seconds=1))

    rows = await pool.fetch(ROWS, task_id)
    assert [(row["kind"], row["state"], row["scheduled_for"]) for row in rows] == [("once", "due", run_at)]


async def test_the_leader_says_when_something_is_due_next(
    leading, lease: Lease, pool: asyncpg.Pool, add_task, now
):
    run_at = now + timedelta(hours=1)
    await add_task(cron=None, run_at=run_at, effective_from=now)

    async with leading():
        keeping = asyncio.create_task(lease.keep())
        await becomes_true(pool, "SELECT next_due_at = $1 FROM scheduler_lease", run_at)
        keeping.cancel()


async def test_a_reboot_fires_when_scheduling_starts_and_not_for_the_next_leader(
    leading, pool: asyncpg.Pool, add_task, now
):
    task_id = await add_task(cron="@reboot", effective_from=now - timedelta(hours=1))

    for _ in range(2):
        async with leading():
            await becomes_true(pool, PASSED, await pool.fetchval("SELECT clock_timestamp()"))

    rows = await pool.fetch(ROWS, task_id)
    assert [(row["kind"], row["state"]) for row in rows] == [("reboot", "due")]


async def test_nothing_is_emitted_while_all_is_paused_and_the_policy_decides_afterwards(
    leading, pool: asyncpg.Pool, wake: asyncio.Event, add_task, now
):
    tasks = {
        policy: await add_task(cron="* * * * * *", catch_up=policy, effective_from=now)
        for policy in ("latest", "all", "skip")
    }
    async with leading():
        await becomes_true(pool, "SELECT count(*) > 0 FROM executions")
        await becomes_paused(pool, wake)
        paused_from = await pool.fetchval("SELECT watermark FROM scheduler_lease")
        await becomes_true(pool, "SELECT clock_timestamp() > $1", paused_from + timedelta(seconds=7))
        assert await pool.fetchval("SELECT max(scheduled_for) FROM executions") <= paused_from

        await pool.execute(RESUME)
        wake.set()

        await becomes_true(pool, PASSED, paused_from + timedelta(seconds=8))

    missed = {
        policy: await pool.fetchval("SELECT sum(missed_count) FROM executions WHERE task_id = $1", task_id)
        for policy, task_id in tasks.items()
    }
    assert missed["all"] is None
    assert missed["latest"] == missed["skip"] >= 2
    for task_id in tasks.values():
        first, last, stood_for = await pool.fetchrow(
            """
            SELECT min(COALESCE(missed_from, scheduled_for)), max(scheduled_for), sum(COALESCE(missed_count, 1))
            FROM executions WHERE task_id = $1
            """,
            task_id,
        )
        assert stood_for == (last - first).total_seconds() + 1


async def test_jitter_delays_the_announcement_and_not_the_scheduled_instant(
    leading, pool: asyncpg.Pool, add_task, connection: AbstractRobustConnection, now
):
    run_at = now + timedelta(seconds=1)
    task_ids = [
        await add_task(cron=None, run_at=run_at, jitter_s=600, destination=f"discord.com/{n}", effective_from=now)
        for n in range(20)
    ]

    async with leading():
        await becomes_true(pool, PASSED, run_at)

    rows = {row["task_id"]: row for row in await pool.fetch("SELECT * FROM executions")}
    assert rows.keys() == set(task_ids)
    for row in rows.values():
        assert row["scheduled_for"] == run_at
        assert row["next_at"] == run_at + timedelta(milliseconds=row["jitter_ms"])
    for task_id, queue in (await _queues(connection)).items():
        jitter_s = rows[task_id]["jitter_ms"] / 1000
        tier_s = int(queue.removeprefix("deliveries.retry.").removesuffix("s")) if "retry" in queue else 0
        assert tier_s <= jitter_s < max(2 * tier_s + 10, 10)


async def test_a_task_that_drifted_is_found_by_the_leader(leading, pool: asyncpg.Pool, add_task, now):
    task_id = await add_task(cron="* * * * * *", status="INACTIVE", effective_from=now)
    async with leading():
        await becomes_true(pool, PASSED, now)
        # What no revision tells: a restored table, or a hand at work.
        await pool.execute("UPDATE tasks SET status = 'ACTIVE' WHERE id = $1", task_id)

        await becomes_true(pool, "SELECT count(*) > 0 FROM executions WHERE task_id = $1", task_id)


async def _queues(connection: AbstractRobustConnection) -> dict[Any, str]:
    """Where each announced task's job waits now."""
    found: dict[Any, str] = {}
    channel = await connection.channel()
    await topology.declare_jobs(channel)
    for name in topology.queue_arguments():
        queue = await channel.get_queue(name)
        while (message := await queue.get(no_ack=True, fail=False)) is not None:
            found |= {job.task_id: name for job in decode_jobs(message.body).jobs}
    return found
