"""Executions and their logs in the database, as a scheduler and a sender leave them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)


async def make_partitions(database: asyncpg.Connection) -> None:
    """One each, for all days."""
    for table in ("executions", "task_logs"):
        await database.execute(f"CREATE TABLE all_{table} PARTITION OF {table} DEFAULT")


async def add_execution(database: asyncpg.Connection, task_id: str, at: datetime, **columns: Any) -> None:
    """One that failed, but for what `columns` say."""
    values = {
        "task_id": UUID(task_id),
        "scheduled_for": at,
        "state": "failed",
        "reason": "retries exhausted: HTTP 500",
        "destination": "discord.com/1",
        "next_at": at,
        "give_up_at": at + DAY,
        "seq": 4,
        "failures": 4,
        "created_at": at,
        "finished_at": at + timedelta(seconds=20),
        **columns,
    }
    places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    statement = f"INSERT INTO executions ({', '.join(values)}) VALUES ({places})"  # noqa: S608 - our own names
    await database.execute(statement, *values.values())


async def add_log(
    database: asyncpg.Connection,
    task_id: str,
    at: datetime,
    status: str,
    *,
    seq: int = 1,
    execution_time: datetime | None = None,
) -> None:
    """An attempt of the execution at that instant."""
    await database.execute(
        """
        INSERT INTO task_logs (scheduled_for, task_id, seq, execution_time, status, outcome, retry_count,
                               duration_ms, message)
        VALUES ($1, $2, $4, $5, $3, 'succeeded', 0, 12, 'HTTP 204')
        """,
        at,
        UUID(task_id),
        status,
        seq,
        execution_time or at,
    )
