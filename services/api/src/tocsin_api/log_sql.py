"""ADAPTER. The API's statements about the task log: which attempts there were."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from tocsin_api.pages import Total
from tocsin_api.postgresql import Row, acquire, given, page_of
from tocsin_api.total_sql import OF_LIVING_TASKS, OF_NO_DELETED_TASKS, find_total

# By created_at, which is indexed; it follows the attempt by less than the attempt took.
LOG_ORDERS = {
    "createdAt": "l.created_at, l.scheduled_for, l.task_id DESC, l.seq",
    "-createdAt": "l.created_at DESC, l.scheduled_for DESC, l.task_id, l.seq DESC",
}

_COLUMNS = "task_id, scheduled_for, seq, execution_time, status, retry_count, message, created_at"

# Said as it is: the index of attempts that were no success serves only a plan that knows the status.
_WITH_STATUS = {
    None: "",
    "SUCCESS": "AND l.status = 'SUCCESS'",
    "FAILED": "AND l.status = 'FAILED'",
    "RETRYING": "AND l.status = 'RETRYING'",
}

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


async def list_logs(
    pool: asyncpg.Pool, which: LogFilter, *, sort: str, page: int, limit: int
) -> tuple[list[Row], Total]:
    """One page of the attempts of living tasks, and how many there are in all."""
    matching, arguments = _matching(which)
    statement = f"""
        SELECT {_COLUMNS} {matching} AND {OF_LIVING_TASKS}
        ORDER BY {LOG_ORDERS[sort]} {page_of(page, limit)}
    """
    async with acquire(pool) as connection:
        total = await find_total(connection, matching, *arguments, but=OF_NO_DELETED_TASKS)
        rows = await connection.fetch(statement, *arguments)
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


def _matching(which: LogFilter) -> tuple[str, list[object]]:
    conditions, arguments = given(
        ("l.task_id = $", which.task_id),
        ("l.created_at >= $", which.since),
        ("l.created_at < $", which.until),
    )
    return f"FROM task_logs AS l WHERE {conditions} {_WITH_STATUS[which.status]}", arguments
