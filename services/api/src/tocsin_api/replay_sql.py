"""ADAPTER. The API's statements about replays: what is against one, and what brings executions back."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg

from tocsin_api.execution_sql import MATCHING_EXECUTIONS, WHICH_EXECUTIONS, ExecutionFilter
from tocsin_api.postgresql import Row, acquire

# What comes after a key. Said twice: the first leaves out whole partitions, the second the rest.
_AFTER_KEY = "AND e.scheduled_for >= $6 AND (e.scheduled_for, e.task_id) > ($6::timestamptz, $7::uuid)"

# The functions are the dispatcher's: what is against a replay, and the one way in which the api brings executions
# back. now() is when the statement began: with clock_timestamp() the first could not be planned as a part of it.
# 'failed' is said once more, so that the index of those serves in every plan.
_COUNT_REPLAYS = f"""
SELECT e.refusal, count(*) AS executions FROM judge_replays(now() - $6::interval) AS e
WHERE e.state = 'failed' {WHICH_EXECUTIONS}
GROUP BY e.refusal
"""  # noqa: S608 - the parts are constants

_JUDGE_REPLAYS = """
SELECT w.scheduled_for, w.task_id, CASE WHEN e.task_id IS NULL THEN 'unknown' ELSE e.refusal END AS refusal,
       NULL AS next_at
FROM unnest($1::timestamptz[], $2::uuid[]) AS w (scheduled_for, task_id)
    LEFT JOIN judge_replays(now() - $3::interval) AS e USING (scheduled_for, task_id)
"""

_REPLAYED = "r.*, EXTRACT(EPOCH FROM r.next_at - clock_timestamp())::float8 AS wait_s"

_REPLAY_NAMED = f"""
SELECT {_REPLAYED}
FROM replay_executions($1, $2, now() - $3::interval, COALESCE($4, clock_timestamp()), $5, $6) AS r
"""  # noqa: S608 - as above

_REPLAY_MATCHING = f"""
SELECT {_REPLAYED}
FROM (
    SELECT array_agg(scheduled_for) AS instants, array_agg(task_id) AS ids
    FROM (
        SELECT e.scheduled_for, e.task_id {MATCHING_EXECUTIONS} AND e.state = 'failed' {_AFTER_KEY}
        ORDER BY e.scheduled_for, e.task_id LIMIT $8
    ) AS oldest
) AS found,
    replay_executions(instants, ids, now() - $9::interval, COALESCE($10, clock_timestamp()), $11, $12) AS r
"""  # noqa: S608 - as above

Key = tuple[datetime, UUID]
"""An execution: its instant and its task."""

BEFORE_ALL: Key = (datetime.min.replace(tzinfo=UTC), UUID(int=0))


class Replaying(NamedTuple):
    """How executions are brought back."""

    retention: timedelta
    """What is older stays as it is."""
    first_at: datetime | None
    """When the first is due; None is now."""
    spacing: timedelta
    """Between one and the next."""
    give_up_after: timedelta


async def count_executions(pool: asyncpg.Pool, which: ExecutionFilter, *, after: Key) -> int:
    """How many executions of living tasks come after a key."""
    statement = f"SELECT count(*) {MATCHING_EXECUTIONS} {_AFTER_KEY}"
    async with acquire(pool) as connection:
        count: int = await connection.fetchval(statement, *which.arguments(), *after)
    return count


async def count_replays(pool: asyncpg.Pool, which: ExecutionFilter, retention: timedelta) -> dict[str | None, int]:
    """How many executions there are by what is against their replay; None is nothing."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_COUNT_REPLAYS, *which.arguments(), retention)
    return {row["refusal"]: row["executions"] for row in rows}


async def judge_replays(pool: asyncpg.Pool, keys: Collection[Key], retention: timedelta) -> list[Row]:
    """Each of these executions with the `refusal` of its replay; None is none."""
    async with acquire(pool) as connection:
        rows: list[Row] = await connection.fetch(_JUDGE_REPLAYS, *_columns(keys), retention)
    return rows


async def replay_named(pool: asyncpg.Pool, keys: Collection[Key], how: Replaying) -> list[Row]:
    """Bring these executions back, the oldest first; each comes with its `refusal`, or with when it is due."""
    async with acquire(pool) as connection:
        rows: list[Row] = await connection.fetch(_REPLAY_NAMED, *_columns(keys), *how)
    return rows


async def replay_matching(
    pool: asyncpg.Pool, which: ExecutionFilter, how: Replaying, *, after: Key, limit: int
) -> list[Row]:
    """The same for the oldest of these executions, failed ones, that come after a key."""
    arguments = (*which.arguments(), *after, limit, *how)
    async with acquire(pool) as connection:
        rows: list[Row] = await connection.fetch(_REPLAY_MATCHING, *arguments)
    return rows


def _columns(keys: Collection[Key]) -> tuple[list[datetime], list[UUID]]:
    return [instant for instant, _ in keys], [task_id for _, task_id in keys]
