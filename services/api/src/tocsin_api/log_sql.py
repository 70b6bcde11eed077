"""ADAPTER. The API's statements about the task log: which attempts there were."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from tocsin_api.postgresql import Row, acquire

# By created_at, which is indexed; it follows the attempt by less than the attempt took.
_MATCHING_LOGS = """
FROM task_logs AS l JOIN tasks AS t ON t.id = l.task_id
WHERE t.status <> 'DELETED'
  AND ($1::uuid IS NULL OR l.task_id = $1) AND ($2::text IS NULL OR l.status = $2)
  AND ($3::timestamptz IS NULL OR l.created_at >= $3) AND ($4::timestamptz IS NULL OR l.created_at < $4)
"""


_COLUMNS = "task_id, scheduled_for, seq, execution_time, status, retry_count, message, created_at"

_LATEST_LOGS = f"""
SELECT {_COLUMNS} FROM task_logs WHERE task_id = $1
ORDER BY created_at DESC, scheduled_for DESC, seq DESC LIMIT $2
"""  # noqa: S608 - the columns are constants

_LOGS_OF_EXECUTION = f"""
SELECT {_COLUMNS} FROM task_logs WHERE scheduled_for = $1 AND task_id = $2 ORDER BY seq DESC LIMIT $3
"""  # noqa: S608 - as above


class LogFilter(NamedTuple):
    """Which logs are asked for; None asks for all."""

    task_id: UUID | None
    status: str | None
    since: datetime | None
    until: datetime | None
    """Exclusive."""


async def list_logs(pool: asyncpg.Pool, which: LogFilter, *, page: int, limit: int) -> tuple[list[Row], int]:
    """One page of the attempts of living tasks, newest first, and how many there are in all."""
    columns = (
        "l.task_id, l.scheduled_for, l.seq, l.execution_time, l.status, l.retry_count, l.message, l.created_at"
    )
    order = "l.created_at DESC, l.scheduled_for DESC, l.task_id, l.seq DESC"
    statement = f"SELECT {columns} {_MATCHING_LOGS} ORDER BY {order} LIMIT $5 OFFSET $6"
    async with acquire(pool) as connection:
        total = await connection.fetchval(f"SELECT count(*) {_MATCHING_LOGS}", *which)
        rows = await connection.fetch(statement, *which, limit, (page - 1) * limit)
    return rows, total


async def latest_logs(pool: asyncpg.Pool, task_id: UUID, limit: int) -> list[Row]:
    """The latest attempts of one task, newest first."""
    async with acquire(pool) as connection:
        rows: list[Row] = await connection.fetch(_LATEST_LOGS, task_id, limit)
        return rows


async def logs_of_execution(pool: asyncpg.Pool, task_id: UUID, scheduled_for: datetime, limit: int) -> list[Row]:
    """The latest attempts of one execution, newest first."""
    async with acquire(pool) as connection:
        rows: list[Row] = await connection.fetch(_LOGS_OF_EXECUTION, scheduled_for, task_id, limit)
        return rows
