"""Daily partitions on a real database."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg
import msgspec

from tocsin_dispatcher import sql
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.scheduler import app
from tocsin_dispatcher.scheduler.partitions import Partitions, days_ahead
from waiting import becomes_true

MAINTENANCE_LOCK = "LOCK TABLE executions IN SHARE UPDATE EXCLUSIVE MODE"  # as ANALYZE takes it
DAYS = [date(2026, 2, 28), date(2026, 3, 1)]


async def attached(pool: asyncpg.Pool, parent: str) -> list[str]:
    return sorted(row["relname"] for row in await pool.fetch(sql.PARTITIONS, parent))


async def test_each_day_gets_a_partition_of_both_tables(pool: asyncpg.Pool):
    await Partitions(pool).cover(DAYS)

    assert await attached(pool, "executions") == ["executions_20260228", "executions_20260301"]
    assert await attached(pool, "task_logs") == ["task_logs_20260228", "task_logs_20260301"]


async def test_several_processes_may_make_the_same_partitions_at_once(pool: asyncpg.Pool):
    await asyncio.gather(*(Partitions(pool).cover(DAYS) for _ in range(4)))

    assert len(await attached(pool, "executions")) == 2


async def test_a_day_begins_and_ends_in_utc(pool: asyncpg.Pool, add_execution, add_task):
    await Partitions(pool).cover(DAYS)
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    task_id = await add_task()

    await add_execution(task_id, midnight - timedelta(microseconds=1))
    await add_execution(task_id, midnight)

    counts = await pool.fetch(
        "SELECT tableoid::regclass::text AS name, count(*) FROM executions GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for row in counts] == [("executions_20260228", 1), ("executions_20260301", 1)]


async def test_days_ahead_that_could_not_be_made_while_a_table_was_locked_are_made_afterwards(
    pool: asyncpg.Pool, clock: DatabaseClock, database: asyncpg.Connection
):
    waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'executions'::regclass)"
    async with database.transaction():
        await database.execute(MAINTENANCE_LOCK)
        keeping = asyncio.create_task(Partitions(pool).keep_ahead(clock, 1, check_s=0.05))
        await becomes_true(pool, waits)
        await becomes_true(pool, f"SELECT NOT ({waits})")

    await becomes_true(pool, "SELECT count(*) = 2 FROM pg_inherits WHERE inhparent = 'executions'::regclass")
    keeping.cancel()
    await asyncio.wait({keeping})


async def test_a_table_that_is_locked_for_long_does_not_hold_up_what_is_due_today(
    pool: asyncpg.Pool, database: asyncpg.Connection, rabbitmq_url: str, scheduler_settings, add_task
):
    now = await pool.fetchval("SELECT clock_timestamp()")
    await Partitions(pool).cover(
        days_ahead(now + timedelta(minutes=-1), 0) + days_ahead(now + timedelta(minutes=1), 0)
    )
    task_id = await add_task(cron="* * * * * *", effective_from=now)
    settings = msgspec.structs.replace(scheduler_settings(), rabbitmq_url=rabbitmq_url)
    stop = asyncio.Event()

    async with database.transaction(), asyncio.TaskGroup() as group:
        await database.execute(MAINTENANCE_LOCK)
        group.create_task(app.run(settings, stop))
        await becomes_true(pool, "SELECT count(*) >= 2 FROM executions WHERE task_id = $1", task_id)
        stop.set()


def test_the_days_ahead_begin_today():
    assert days_ahead(datetime(2026, 2, 27, 23, 59, tzinfo=UTC), 2) == [date(2026, 2, 27), *DAYS]
