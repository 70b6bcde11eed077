"""ADAPTER. The API's statements about scheduling as a whole: who leads, how far it is, and the pause."""

import asyncpg

from tocsin_api.postgresql import Row, acquire

_SCHEDULER = """
SELECT CASE WHEN expires_at > now THEN holder END AS leader, epoch, watermark,
       GREATEST(EXTRACT(EPOCH FROM now - watermark), 0)::float8 AS lag_seconds, tasks, schedules,
       (SELECT paused_at FROM scheduler_pause) AS paused_at
FROM scheduler_lease, (SELECT clock_timestamp() AS now) AS clock
"""

# Who pauses what is paused already does not begin anew.
_PAUSE_SCHEDULER = "UPDATE scheduler_pause SET paused_at = clock_timestamp() WHERE paused_at IS NULL"

_RESUME_SCHEDULER = "UPDATE scheduler_pause SET paused_at = NULL WHERE paused_at IS NOT NULL"


async def show_scheduler(pool: asyncpg.Pool) -> Row:
    """Who leads, how far everything owed has its row, and whether it is paused."""
    async with acquire(pool) as connection:
        return await connection.fetchrow(_SCHEDULER)


async def pause_scheduler(pool: asyncpg.Pool, *, paused: bool) -> None:
    """Let nothing be emitted from now on, or let it go on."""
    async with acquire(pool) as connection:
        await connection.execute(_PAUSE_SCHEDULER if paused else _RESUME_SCHEDULER)
