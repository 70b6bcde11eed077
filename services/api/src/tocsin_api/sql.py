"""ADAPTER. All of the API's SQL, each statement named for the question it answers.

A change of a task is one statement: it locks the row first, then takes revision + 1 and an effective-from
that is later than the last one by the database's clock, and appends the revision. Task ids of deleted tasks
answer nothing. Raises UnavailableError where PostgreSQL is away.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from tocsin_common.database import CONNECTION_ERRORS
from tocsin_common.errors import UnavailableError

ACQUIRE_TIMEOUT_S = 5  # a request waits so long for a free connection, or for a new one

TASK_ORDERS = {
    "createdAt": "created_at, id",
    "-createdAt": "created_at DESC, id DESC",
    "name": "name, id",
    "-name": "name DESC, id DESC",
    "updatedAt": "updated_at, id",
    "-updatedAt": "updated_at DESC, id DESC",
}

_SHOWN = """id, name, schedule, webhook_url_masked, payload, max_retry, status, created_at, updated_at"""

_ADD_TASK = f"""
WITH added AS (
    INSERT INTO tasks (id, name, schedule, webhook_url_sealed, webhook_url_hash, webhook_url_masked, destination,
                       payload, max_retry, status, revision, effective_from, created_at, updated_at)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, moment, moment, moment
    FROM (SELECT clock_timestamp() AS moment) AS clock
    RETURNING *
), appended AS (
    INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, destination)
    SELECT id, revision, effective_from, status, schedule, timezone, destination FROM added
)
SELECT {_SHOWN}, revision FROM added
"""  # noqa: S608 - the columns are a constant

# A NULL keeps what is there; what changes nothing appends no revision. `old` waits for the row's lock and then
# holds its newest state. All that follows is computed from `old`: `t` is the row as the statement's snapshot
# saw it, which may lie before a change that was waited for.
_REVISE_TASK = f"""
WITH old AS MATERIALIZED (
    SELECT * FROM tasks WHERE id = $1 AND status <> 'DELETED' FOR UPDATE
), wanted AS MATERIALIZED (
    SELECT GREATEST(clock_timestamp(), effective_from + interval '1 microsecond') AS moment,
           COALESCE($2, name) AS name, COALESCE($3, schedule) AS schedule,
           COALESCE($4, webhook_url_sealed) AS webhook_url_sealed,
           COALESCE($5, webhook_url_hash) AS webhook_url_hash,
           COALESCE($6, webhook_url_masked) AS webhook_url_masked,
           COALESCE($7, destination) AS destination, COALESCE($8, payload) AS payload,
           COALESCE($9, max_retry) AS max_retry,
           CASE WHEN $11 AND status = 'ACTIVE' THEN 'INACTIVE' WHEN $11 THEN 'ACTIVE'
                ELSE COALESCE($10, status) END AS status
    FROM old
), changed AS (
    UPDATE tasks AS t
    SET name = w.name, schedule = w.schedule, webhook_url_sealed = w.webhook_url_sealed,
        webhook_url_hash = w.webhook_url_hash, webhook_url_masked = w.webhook_url_masked,
        destination = w.destination, payload = w.payload, max_retry = w.max_retry, status = w.status,
        status_reason = CASE WHEN w.status = old.status THEN old.status_reason END,
        revision = old.revision + 1,
        effective_from = CASE WHEN (w.schedule, w.status) = (old.schedule, old.status) THEN old.effective_from
                              ELSE w.moment END,
        updated_at = w.moment
    FROM old, wanted AS w
    WHERE t.id = old.id
      AND (w.name, w.schedule, w.webhook_url_hash, w.payload::text, w.max_retry, w.status)
       <> (old.name, old.schedule, old.webhook_url_hash, old.payload::text, old.max_retry, old.status)
    RETURNING t.*
), appended AS (
    INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, destination)
    SELECT id, revision, effective_from, status, schedule, timezone, destination FROM changed
)
SELECT {_SHOWN}, revision, (SELECT status FROM old) AS old_status FROM changed
UNION ALL
SELECT {_SHOWN}, NULL, status FROM old WHERE NOT EXISTS (SELECT FROM changed)
"""  # noqa: S608 - the columns are a constant

_FIND_TASK = f"SELECT {_SHOWN} FROM tasks WHERE id = $1 AND status <> 'DELETED'"  # noqa: S608 - as above

_MATCHING_TASKS = """
FROM tasks
WHERE status <> 'DELETED' AND ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR name ILIKE $2)
"""

# By created_at, which is indexed; it follows the attempt by less than the attempt took.
_MATCHING_LOGS = """
FROM task_logs AS l JOIN tasks AS t ON t.id = l.task_id
WHERE t.status <> 'DELETED'
  AND ($1::uuid IS NULL OR l.task_id = $1) AND ($2::text IS NULL OR l.status = $2)
  AND ($3::timestamptz IS NULL OR l.created_at >= $3) AND ($4::timestamptz IS NULL OR l.created_at < $4)
"""

Row = Any
"""asyncpg.Record, which ships no type information: columns by name."""


class SealedUrl(NamedTuple):
    """A webhook URL as the table holds it."""

    sealed: bytes
    hash: bytes
    masked: str
    destination: str


class TaskValues(NamedTuple):
    """The columns that a client decides; None leaves one alone."""

    name: str | None = None
    schedule: str | None = None
    url: SealedUrl | None = None
    payload: str | None = None
    max_retry: int | None = None
    status: str | None = None

    def arguments(self) -> tuple[object, ...]:
        """As the statements number them."""
        url = self.url or (None, None, None, None)
        return (self.name, self.schedule, *url, self.payload, self.max_retry, self.status)


class LogFilter(NamedTuple):
    """Which logs are asked for; None asks for all."""

    task_id: UUID | None
    status: str | None
    since: datetime | None
    until: datetime | None
    """Exclusive."""


async def add_task(pool: asyncpg.Pool, task_id: UUID, values: TaskValues) -> Row:
    """Create the task and its first revision."""
    async with _connection(pool) as connection:
        return await connection.fetchrow(_ADD_TASK, task_id, *values.arguments())


async def change_task(pool: asyncpg.Pool, task_id: UUID, values: TaskValues) -> Row | None:
    """The task after the change. Its `revision` is None where nothing changed."""
    async with _connection(pool) as connection:
        return await connection.fetchrow(_REVISE_TASK, task_id, *values.arguments(), False)


async def toggle_task(pool: asyncpg.Pool, task_id: UUID) -> Row | None:
    """ACTIVE becomes INACTIVE, anything else ACTIVE."""
    async with _connection(pool) as connection:
        return await connection.fetchrow(_REVISE_TASK, task_id, *TaskValues().arguments(), True)


async def delete_task(pool: asyncpg.Pool, task_id: UUID) -> Row | None:
    """The task, gone from here on, and the `old_status` it had. A delete is a status: executions refer to it."""
    return await change_task(pool, task_id, TaskValues(status="DELETED"))


async def find_task(pool: asyncpg.Pool, task_id: UUID) -> Row | None:
    """One task."""
    async with _connection(pool) as connection:
        return await connection.fetchrow(_FIND_TASK, task_id)


async def list_tasks(
    pool: asyncpg.Pool, *, status: str | None, search: str | None, sort: str, page: int, limit: int
) -> tuple[list[Row], int]:
    """One page of tasks, and how many there are in all."""
    pattern = None if search is None else f"%{_escape_like(search)}%"
    statement = f"SELECT {_SHOWN} {_MATCHING_TASKS} ORDER BY {TASK_ORDERS[sort]} LIMIT $3 OFFSET $4"
    async with _connection(pool) as connection:
        total = await connection.fetchval(f"SELECT count(*) {_MATCHING_TASKS}", status, pattern)
        rows = await connection.fetch(statement, status, pattern, limit, (page - 1) * limit)
    return rows, total


async def list_logs(pool: asyncpg.Pool, which: LogFilter, *, page: int, limit: int) -> tuple[list[Row], int]:
    """One page of the attempts of living tasks, newest first, and how many there are in all."""
    columns = (
        "l.task_id, l.scheduled_for, l.seq, l.execution_time, l.status, l.retry_count, l.message, l.created_at"
    )
    order = "l.created_at DESC, l.scheduled_for DESC, l.task_id, l.seq DESC"
    statement = f"SELECT {columns} {_MATCHING_LOGS} ORDER BY {order} LIMIT $5 OFFSET $6"
    async with _connection(pool) as connection:
        total = await connection.fetchval(f"SELECT count(*) {_MATCHING_LOGS}", *which)
        rows = await connection.fetch(statement, *which, limit, (page - 1) * limit)
    return rows, total


async def find_schema_revision(pool: asyncpg.Pool) -> str | None:
    """The migration that the database is at; None where it was never migrated."""
    async with _connection(pool) as connection:
        if await connection.fetchval("SELECT to_regclass('alembic_version') IS NULL"):
            return None
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        return revision


@asynccontextmanager
async def _connection(pool: asyncpg.Pool) -> AsyncIterator[Any]:
    try:
        async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            yield connection
    except CONNECTION_ERRORS as error:
        raise UnavailableError(f"PostgreSQL does not answer: {type(error).__name__}") from error


def _escape_like(text: str) -> str:
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return text
