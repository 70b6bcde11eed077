"""ADAPTER. The API's statements about executions: those that are shown, and the one that somebody asks for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from tocsin_api import idempotency_sql
from tocsin_api.errors import NoPartitionError
from tocsin_api.execution_rows import Found
from tocsin_api.idempotency import RequestKey
from tocsin_api.pages import Total
from tocsin_api.postgresql import Row, acquire, containing, given, page_of
from tocsin_api.total_sql import OF_LIVING_TASKS, OF_NO_DELETED_TASKS, find_total

# Which executions `e` are asked for, to be replayed; what is listed is asked for in the same words, see _matching.
WHICH_EXECUTIONS = """
  AND ($1::uuid IS NULL OR e.task_id = $1) AND ($2::text IS NULL OR e.state = $2)
  AND ($3::text IS NULL OR e.reason ILIKE $3)
  AND ($4::timestamptz IS NULL OR e.scheduled_for >= $4) AND ($5::timestamptz IS NULL OR e.scheduled_for < $5)
"""

MATCHING_EXECUTIONS = f"""
FROM executions AS e JOIN tasks AS t ON t.id = e.task_id
WHERE t.status <> 'DELETED' {WHICH_EXECUTIONS}
"""

_FIND_EXECUTION = """
SELECT e.*, t.name AS task_name FROM executions AS e JOIN tasks AS t ON t.id = e.task_id
WHERE e.scheduled_for = $1 AND e.task_id = $2 AND t.status <> 'DELETED'
"""

_FIND_STATE = "SELECT state FROM executions WHERE scheduled_for = $1 AND task_id = $2"

_FIND_LAST = """
SELECT e.*, t.name AS task_name FROM executions AS e JOIN tasks AS t ON t.id = e.task_id
WHERE e.task_id = $1 ORDER BY e.scheduled_for DESC LIMIT 1
"""

# For the executions of a page: a look-up in the log for each of them.
_FIND_ATTEMPTS = """
SELECT w.scheduled_for, w.task_id, a.attempts, a.first_at
FROM unnest($1::timestamptz[], $2::uuid[]) AS w (scheduled_for, task_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS attempts, min(l.execution_time) AS first_at FROM task_logs AS l
    WHERE l.scheduled_for = w.scheduled_for AND l.task_id = w.task_id
) AS a
"""
_NEWEST_FIRST = "e.scheduled_for DESC, e.task_id DESC"

# The function is the dispatcher's: the one way in which the api adds an execution.
_RUN_TASK = """
SELECT add_manual_execution(id, destination, $2) AS scheduled_for, id AS task_id, destination
FROM tasks WHERE id = $1 AND status <> 'DELETED'
"""


class ExecutionFilter(NamedTuple):
    """Which executions are asked for; None asks for all."""

    task_id: UUID | None
    state: str | None
    reason: str | None
    """A part of it, in any case."""
    since: datetime | None
    until: datetime | None
    """Exclusive."""

    def arguments(self) -> tuple[object, ...]:
        """As the statements take them."""
        return self._replace(reason=containing(self.reason))


async def list_executions(
    pool: asyncpg.Pool, which: ExecutionFilter, *, page: int, limit: int
) -> tuple[list[Found], Total]:
    """One page of the executions of living tasks, newest first, and how many there are in all."""
    matching, arguments = _matching(which)
    statement = f"""
        SELECT e.*, t.name AS task_name
        FROM (
            SELECT e.* {matching} AND {OF_LIVING_TASKS}
            ORDER BY {_NEWEST_FIRST} {page_of(page, limit)}
        ) AS e JOIN tasks AS t ON t.id = e.task_id
        ORDER BY {_NEWEST_FIRST}
    """  # noqa: S608 - the parts are constants
    async with acquire(pool) as connection:
        total = await find_total(connection, matching, *arguments, but=OF_NO_DELETED_TASKS)
        rows = await connection.fetch(statement, *arguments)
        return await _with_attempts(connection, rows), total


async def find_execution(pool: asyncpg.Pool, task_id: UUID, scheduled_for: datetime) -> Found | None:
    """One execution of a living task."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_FIND_EXECUTION, scheduled_for, task_id)
        return next(iter(await _with_attempts(connection, rows)), None)


async def find_state(pool: asyncpg.Pool, task_id: UUID, scheduled_for: datetime) -> str | None:
    """The state of one execution; None where there is none."""
    async with acquire(pool) as connection:
        state: str | None = await connection.fetchval(_FIND_STATE, scheduled_for, task_id)
        return state


async def find_last(pool: asyncpg.Pool, task_id: UUID) -> Found | None:
    """The task's execution with the latest instant."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_FIND_LAST, task_id)
        return next(iter(await _with_attempts(connection, rows)), None)


async def _with_attempts(connection: Any, rows: Sequence[Row]) -> list[Found]:
    keys = [(row["scheduled_for"], row["task_id"]) for row in rows]
    found = await connection.fetch(_FIND_ATTEMPTS, *map(list, zip(*keys, strict=True))) if keys else []
    known = {(each["scheduled_for"], each["task_id"]): (each["attempts"], each["first_at"]) for each in found}
    return [Found(row, *known[key]) for key, row in zip(keys, rows, strict=True)]


def _matching(which: ExecutionFilter) -> tuple[str, list[object]]:
    """'failed' is said as it is, since the index of those serves only a plan that knows the state."""
    conditions, arguments = given(
        ("e.task_id = $", which.task_id),
        ("e.state = $", which.state),
        ("e.reason ILIKE $", containing(which.reason)),
        ("e.scheduled_for >= $", which.since),
        ("e.scheduled_for < $", which.until),
    )
    failed = "AND e.state = 'failed'" if which.state == "failed" else ""
    return f"FROM executions AS e WHERE {conditions} {failed}", arguments


async def run_task(
    pool: asyncpg.Pool, task_id: UUID, give_up_after: timedelta, key: RequestKey | None
) -> tuple[Row | None, bool]:
    """The execution of the task that is owed now, and whether it is new; None where there is no such task.

    It is not new where the key is not free: then it is that request's, with its `request_hash`.
    Only the key is locked meanwhile, so whoever is frozen here holds up none but the same request.
    """
    async with acquire(pool) as connection:
        if key is None:
            return await _add_execution(connection, task_id, give_up_after), True
        async with connection.transaction():
            if not await idempotency_sql.take_key(connection, key, task_id):
                return await idempotency_sql.find_key(connection, key), False
            row = await _add_execution(connection, task_id, give_up_after)
            if row is None:
                await idempotency_sql.forget_key(connection, key)
            else:
                await idempotency_sql.keep_key(connection, key, row["scheduled_for"])
            return row, True


async def _add_execution(connection: Any, task_id: UUID, give_up_after: timedelta) -> Row | None:
    try:
        return await connection.fetchrow(_RUN_TASK, task_id, give_up_after)
    except asyncpg.CheckViolationError as error:
        raise NoPartitionError("executions have no partition for today yet: a scheduler makes it") from error
