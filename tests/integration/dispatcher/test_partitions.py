"""Daily partitions on a real database."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg

from tocsin_dispatcher import sql
from tocsin_dispatcher.scheduler.partitions import Partitions, days_ahead

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


def test_the_days_ahead_begin_today():
    assert days_ahead(datetime(2026, 2, 27, 23, 59, tzinfo=UTC), 2) == [date(2026, 2, 27), *DAYS]
