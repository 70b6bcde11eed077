"""The leader's loop, on a real database and broker."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from tocsin_dispatcher.clock import SAMPLES, DatabaseClock
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.scheduler.emitter import Emitter
from tocsin_dispatcher.scheduler.feed import Feed
from tocsin_dispatcher.scheduler.leader import Leader
from tocsin_dispatcher.scheduler.lease import Lease
from tocsin_dispatcher.scheduler.partitions import Partitions
from waiting import becomes_true


@pytest.fixture
async def lease(pool: asyncpg.Pool, clock: DatabaseClock) -> Lease:
    return Lease(pool, clock, holder="leader", ttl_s=60, renew_s=1, hold_s=50, reboot_after_s=60)


@pytest.fixture
def leader(
    pool: asyncpg.Pool, lease: Lease, clock: DatabaseClock, publisher: Publisher, scheduler_settings
) -> Leader:
    settings = scheduler_settings(feed_poll_s=0.2)
    emitter = Emitter(pool, lease, clock, Partitions(pool), publisher, settings)
    return Leader(lease, Feed(pool, clock), emitter, publisher, clock, asyncio.Event(), settings)


async def test_the_feed_is_read_although_the_databases_clock_was_set_back(
    leader: Leader, lease: Lease, clock: DatabaseClock, pool: asyncpg.Pool, add_task
):
    now = await pool.fetchval("SELECT clock_timestamp()")
    for _ in range(SAMPLES):
        clock.sample(now + timedelta(hours=1))
    standing, stop = await lease.take(), asyncio.Event()
    assert standing is not None
    async with asyncio.TaskGroup() as group:
        group.create_task(leader.lead(standing, stop))
        await becomes_true(pool, "SELECT watermark > $1 FROM scheduler_lease", now + timedelta(minutes=30))
        for _ in range(SAMPLES):
            clock.sample(now)

        task_id = await add_task(cron="*/10 * * * *", effective_from=now)

        await becomes_true(pool, "SELECT count(*) > 0 FROM executions WHERE task_id = $1", task_id)
        stop.set()
