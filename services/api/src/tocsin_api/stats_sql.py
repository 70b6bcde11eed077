"""ADAPTER. The API's statements about all tasks and executions at a glance: each reads an index, or one day."""

import asyncio

import asyncpg

from tocsin_api.postgresql import Row, acquire
from tocsin_api.stats import MAX_SAMPLE, Stats, stats
from tocsin_api.total_sql import OF_NO_DELETED_TASKS

# `today` is where the day begins in UTC. Waiting and failed executions have indexes of their own.
_NOW = f"""
SELECT clock_timestamp() AS as_of, date_trunc('day', clock_timestamp(), 'UTC') AS today,
       (SELECT count(*) FROM executions WHERE state = 'waiting' AND {OF_NO_DELETED_TASKS}) AS waiting,
       (SELECT count(*) FROM executions WHERE state = 'failed' AND {OF_NO_DELETED_TASKS}) AS failed_executions,
       (SELECT next_due_at FROM scheduler_lease, scheduler_pause
        WHERE expires_at > clock_timestamp() AND paused_at IS NULL) AS next_due
"""  # noqa: S608 - built from a constant

_TASKS = "SELECT status, count(*) AS tasks FROM tasks GROUP BY status"

_OF_TODAY = "scheduled_for >= $1::timestamptz AND scheduled_for < $1 + interval '1 day'"

_TODAY = f"""
SELECT state, count(*) AS executions FROM executions WHERE {_OF_TODAY} AND {OF_NO_DELETED_TASKS} GROUP BY state
"""  # noqa: S608 - as above

# When an execution began is in the first line of its log: by a sender's reckoning, which may be a moment behind.
_LATENESS = f"""
SELECT count(*) AS executions,
       percentile_disc(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY late_ms) AS percentiles
FROM (
    SELECT GREATEST(EXTRACT(EPOCH FROM l.execution_time - e.scheduled_for) * 1000 - e.jitter_ms, 0)::float8
           AS late_ms
    FROM (
        SELECT * FROM executions WHERE {_OF_TODAY} ORDER BY scheduled_for DESC, task_id DESC
    ) AS e CROSS JOIN LATERAL (
        SELECT execution_time FROM task_logs
        WHERE {_OF_TODAY} AND scheduled_for = e.scheduled_for AND task_id = e.task_id ORDER BY seq LIMIT 1
    ) AS l
    LIMIT {MAX_SAMPLE}
) AS newest
"""  # noqa: S608 - as above


# Whoever shares a Redis may have another database: another server's, or another one there.
_NAME = """
SELECT 'tocsin:stats:' || (SELECT system_identifier FROM pg_control_system()) || ':' || oid
FROM pg_database WHERE datname = current_database()
"""


async def find_name(pool: asyncpg.Pool) -> str:
    """What these figures are called among those of other databases."""
    async with acquire(pool) as connection:
        name: str = await connection.fetchval(_NAME)
        return name


async def find_stats(pool: asyncpg.Pool) -> Stats:
    """All tasks and executions at a glance. Tasks are counted beside the rest, which takes about as long."""
    tasks, (now, today, lateness) = await asyncio.gather(_tasks(pool), _executions(pool))
    return stats(now, tasks, today, lateness)


async def _tasks(pool: asyncpg.Pool) -> list[Row]:
    async with acquire(pool) as connection:
        rows: list[Row] = await connection.fetch(_TASKS)
        return rows


async def _executions(pool: asyncpg.Pool) -> tuple[Row, list[Row], Row]:
    async with acquire(pool) as connection:
        now = await connection.fetchrow(_NOW)
        today = await connection.fetch(_TODAY, now["today"])
        return now, today, await connection.fetchrow(_LATENESS, now["today"])
