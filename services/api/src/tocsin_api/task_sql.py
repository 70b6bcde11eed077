"""ADAPTER. The API's statements about tasks: those that are shown, and every change of one.

A change of a task is one statement: it locks the row first, then takes revision + 1 and an effective-from
that is later than the last one by the database's clock, and appends the revision. Task ids of deleted tasks
answer nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from tocsin_api import idempotency_sql
from tocsin_api.idempotency import RequestKey
from tocsin_api.pages import Total
from tocsin_api.postgresql import Row, acquire, containing, given
from tocsin_api.total_sql import find_total

TASK_ORDERS = {
    "createdAt": "created_at, id",
    "-createdAt": "created_at DESC, id DESC",
    "name": "name, id",
    "-name": "name DESC, id DESC",
    "updatedAt": "updated_at, id",
    "-updatedAt": "updated_at DESC, id DESC",
}

_SHOWN = """id, name, schedule, timezone, run_at, starts_at, ends_at, webhook_url_masked, payload, max_retry,
jitter_s, catch_up, expires_after_s, overlap, status, status_reason, created_at, updated_at"""

# What a client decides, the four columns of its webhook URL among them.
_DECIDED = """name, schedule, timezone, run_at, starts_at, ends_at, webhook_url_sealed, webhook_url_hash,
webhook_url_masked, destination, payload, max_retry, jitter_s, catch_up, expires_after_s, overlap, status"""

_APPEND_REVISION = """
INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, destination,
                            run_at, starts_at, ends_at, jitter_s, catch_up)
SELECT id, revision, effective_from, status, schedule, timezone, destination,
       run_at, starts_at, ends_at, jitter_s, catch_up
"""

# Where the one-off instant has passed, only that and the clock that judged it come back.
_ADD_TASK = f"""
WITH wanted AS MATERIALIZED (
    SELECT clock_timestamp() AS moment, w.* FROM json_populate_record(NULL::tasks, $1::json) AS w
), added AS (
    INSERT INTO tasks (id, {_DECIDED}, revision, effective_from, created_at, updated_at)
    SELECT id, {_DECIDED}, 1, moment, moment, moment FROM wanted
    WHERE (run_at <= moment) IS NOT TRUE
    RETURNING *
), appended AS (
    {_APPEND_REVISION} FROM added
)
SELECT {_SHOWN}, revision, asked.*
FROM (SELECT moment, run_at AS wanted_run_at FROM wanted) AS asked LEFT JOIN added ON true
"""  # noqa: S608 - the columns are constants

# Of one transaction: all of them or none. What is there already stays as it is.
_ADD_TASKS = f"""
WITH wanted AS MATERIALIZED (
    SELECT clock_timestamp() AS moment, w.* FROM json_populate_recordset(NULL::tasks, $1::json) AS w
), added AS (
    INSERT INTO tasks (id, {_DECIDED}, revision, effective_from, created_at, updated_at)
    SELECT id, {_DECIDED}, 1, moment, moment, moment FROM wanted ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING *
), appended AS (
    {_APPEND_REVISION} FROM added
)
SELECT id FROM added
"""  # noqa: S608 - as above

# Neither their schedule nor their status was changed since they were made. They owe what comes from $2 on.
_START_TASKS = f"""
WITH stopped AS MATERIALIZED (
    SELECT id, effective_from FROM tasks
    WHERE id = ANY($1::uuid[]) AND status = 'INACTIVE' AND effective_from = created_at ORDER BY id FOR UPDATE
), started AS (
    UPDATE tasks AS t
    SET status = 'ACTIVE', revision = t.revision + 1, updated_at = clock_timestamp(),
        effective_from = GREATEST(LEAST($2::timestamptz, clock_timestamp()),
                                  s.effective_from + interval '1 microsecond')
    FROM stopped AS s WHERE t.id = s.id
    RETURNING t.*
), appended AS (
    {_APPEND_REVISION} FROM started
)
SELECT id, revision FROM started
"""  # noqa: S608 - as above

_TOGGLED = "json_build_object('status', CASE WHEN status = 'ACTIVE' THEN 'INACTIVE' ELSE 'ACTIVE' END)"

_REFUSED = "(r.is_another_revision OR r.window_is_empty OR r.run_at_is_outside OR r.run_at_is_past)"

# What the change does not name stays; what changes nothing appends no revision, nor does what is refused. `old`
# waits for the row's lock and then holds its newest state. All that follows is computed from `old`: `t` is the row
# as the statement's snapshot saw it, which may lie before a change that was waited for. A URL that was sent is the
# same one where any of its hashes is the task's. It is sealed anew all the same: what could not be opened can be.
_REVISE_TASK = f"""
WITH old AS MATERIALIZED (
    SELECT * FROM tasks WHERE id = $1 AND status <> 'DELETED' FOR UPDATE
), wanted AS MATERIALIZED (
    SELECT GREATEST(clock_timestamp(), old.effective_from + interval '1 microsecond') AS moment, w.*
    FROM old, json_populate_record(old::tasks, COALESCE($2::json, {_TOGGLED})) AS w
), refused AS MATERIALIZED (
    SELECT w.moment, w.run_at AS wanted_run_at, w.starts_at AS wanted_starts_at, w.ends_at AS wanted_ends_at,
           COALESCE(w.starts_at >= w.ends_at, false) AS window_is_empty,
           w.run_at < w.starts_at IS TRUE OR w.run_at > w.ends_at IS TRUE AS run_at_is_outside,
           COALESCE(old.revision <> ALL($4::bigint[]), false) AS is_another_revision,
           COALESCE(w.run_at <= w.moment AND (w.run_at IS DISTINCT FROM old.run_at
                                              OR (w.status = 'ACTIVE' AND old.status <> 'ACTIVE')),
                    false) AS run_at_is_past
    FROM old, wanted AS w
), changed AS (
    UPDATE tasks AS t
    SET ({_DECIDED}) = (SELECT {_DECIDED} FROM wanted),
        status_reason = CASE WHEN w.status = old.status THEN old.status_reason END,
        revision = old.revision + 1,
        effective_from =
            CASE WHEN (w.schedule, w.timezone, w.run_at, w.starts_at, w.ends_at, w.status) IS DISTINCT FROM
                      (old.schedule, old.timezone, old.run_at, old.starts_at, old.ends_at, old.status)
                 THEN w.moment ELSE old.effective_from END,
        updated_at = w.moment
    FROM old, wanted AS w, refused AS r
    WHERE t.id = old.id AND NOT {_REFUSED}
      AND (w.name, w.schedule, w.timezone, w.run_at, w.starts_at, w.ends_at,
           CASE WHEN old.webhook_url_hash = ANY($3::bytea[]) THEN old.webhook_url_hash ELSE w.webhook_url_hash END,
           w.payload::text, w.max_retry, w.jitter_s, w.catch_up, w.expires_after_s, w.overlap, w.status)
          IS DISTINCT FROM
          (old.name, old.schedule, old.timezone, old.run_at, old.starts_at, old.ends_at, old.webhook_url_hash,
           old.payload::text, old.max_retry, old.jitter_s, old.catch_up, old.expires_after_s, old.overlap,
           old.status)
    RETURNING t.*
), sealed_anew AS (
    UPDATE tasks AS t SET webhook_url_sealed = w.webhook_url_sealed, webhook_url_hash = w.webhook_url_hash
    FROM old, wanted AS w, refused AS r
    WHERE t.id = old.id AND NOT EXISTS (SELECT FROM changed)
      AND NOT {_REFUSED} AND w.webhook_url_sealed <> old.webhook_url_sealed
), appended AS (
    {_APPEND_REVISION} FROM changed
), shown AS (
    SELECT {_SHOWN}, revision FROM changed
    UNION ALL
    SELECT {_SHOWN}, NULL FROM old WHERE NOT EXISTS (SELECT FROM changed)
)
SELECT shown.*, old.status AS old_status, old.revision AS old_revision, refused.* FROM shown, old, refused
"""  # noqa: S608 - the columns are constants

_FIND_TASK = f"""
SELECT {_SHOWN}, revision, clock_timestamp() AS now FROM tasks WHERE id = $1 AND status <> 'DELETED'
"""  # noqa: S608 - as above

_FIND_TASKS = """
SELECT id, name, schedule, timezone, webhook_url_hash, payload, max_retry, status,
       effective_from = created_at AS is_as_made
FROM tasks WHERE id = ANY($1::uuid[])
"""

# As a sender counts them: a task that was started again, or given another schedule, begins anew. One that was
# stopped goes on showing how many there were.
_FIND_TASK_AND_STATE = f"""
SELECT t.*, CASE WHEN t.status = 'ACTIVE' AND s.last_scheduled_for < t.effective_from THEN 0
                 ELSE COALESCE(s.failures_in_row, 0) END AS failures_in_row
FROM (SELECT {_SHOWN}, revision, clock_timestamp() AS now, effective_from FROM tasks
      WHERE id = $1 AND status <> 'DELETED') AS t
    LEFT JOIN task_state AS s ON s.task_id = t.id
"""  # noqa: S608 - as above

Columns = Mapping[str, object]
"""Values by column: what is not named stays as it is, None clears."""


async def add_task(
    pool: asyncpg.Pool, task_id: UUID, columns: Columns, key: RequestKey | None = None
) -> tuple[Row, bool]:
    """Create the task and its first revision; also whether that was done.

    It was not where the key is not free: then it is that request's, with its `request_hash` and `task_id`. Its
    `revision` is None where its one instant, `wanted_run_at`, had passed at the `moment` of the attempt.
    """
    values = _json({"id": task_id, **columns})
    async with acquire(pool) as connection:
        if key is None:
            return await connection.fetchrow(_ADD_TASK, values), True
        async with connection.transaction():
            if not await idempotency_sql.take_key(connection, key, task_id):
                return await idempotency_sql.find_key(connection, key), False
            row = await connection.fetchrow(_ADD_TASK, values)
            if row["revision"] is None:
                await idempotency_sql.forget_key(connection, key)
            else:
                await idempotency_sql.keep_key(connection, key, None)
            return row, True


async def add_tasks(pool: asyncpg.Pool, tasks: Mapping[UUID, Columns]) -> set[UUID]:
    """Create these tasks and their first revisions, but for those whose ids are taken; the ids of the others."""
    values = f"[{','.join(_json({'id': task_id, **columns}) for task_id, columns in tasks.items())}]"
    async with acquire(pool) as connection:
        return {row["id"] for row in await connection.fetch(_ADD_TASKS, values)}


async def start_tasks(pool: asyncpg.Pool, task_ids: Sequence[UUID], *, since: datetime | None) -> dict[UUID, int]:
    """Start those that are INACTIVE, with the schedule that they were made with; their ids and new revisions.

    They owe their instants from `since` or from now on, and none from before they were made.
    """
    async with acquire(pool) as connection:
        return {row["id"]: row["revision"] for row in await connection.fetch(_START_TASKS, task_ids, since)}


async def change_task(
    pool: asyncpg.Pool,
    task_id: UUID,
    columns: Columns,
    url_hashes: Sequence[bytes] = (),
    *,
    revisions: Sequence[int] | None = None,
) -> Row | None:
    """The task after the change of these columns; None where there is none.

    Its `revision` is None where nothing changed, and `old_revision` still holds: also where `is_another_revision`
    than one of `revisions`, `window_is_empty`, `run_at_is_outside` that window or `run_at_is_past` refuse it.
    `url_hashes` are those that a URL among the columns may have had.
    """
    async with acquire(pool) as connection:
        return await connection.fetchrow(_REVISE_TASK, task_id, _json(columns), url_hashes, revisions)


async def toggle_task(pool: asyncpg.Pool, task_id: UUID, *, revisions: Sequence[int] | None = None) -> Row | None:
    """ACTIVE becomes INACTIVE, anything else ACTIVE. Answers as `change_task`."""
    async with acquire(pool) as connection:
        return await connection.fetchrow(_REVISE_TASK, task_id, None, (), revisions)


async def delete_task(pool: asyncpg.Pool, task_id: UUID, *, revisions: Sequence[int] | None = None) -> Row | None:
    """The task, gone from here on, and the `old_status` it had. A delete is a status: executions refer to it."""
    return await change_task(pool, task_id, {"status": "DELETED"}, revisions=revisions)


async def find_task(pool: asyncpg.Pool, task_id: UUID, *, with_state: bool = False) -> Row | None:
    """One task, and what time it is; with its state also how many executions have failed in a row."""
    async with acquire(pool) as connection:
        return await connection.fetchrow(_FIND_TASK_AND_STATE if with_state else _FIND_TASK, task_id)


async def find_tasks(pool: asyncpg.Pool, task_ids: Sequence[UUID]) -> dict[UUID, Row]:
    """Those of them that there are, deleted ones too, by id: what decides whether one is as it is to be."""
    async with acquire(pool) as connection:
        return {row["id"]: row for row in await connection.fetch(_FIND_TASKS, task_ids)}


async def list_tasks(
    pool: asyncpg.Pool, *, status: str | None, search: str | None, sort: str, page: int, limit: int
) -> tuple[list[Row], Total]:
    """One page of tasks, and how many there are in all."""
    conditions, arguments = given(("status = $", status), ("name ILIKE $", containing(search)))
    matching = f"FROM tasks WHERE status <> 'DELETED' AND {conditions}"
    async with acquire(pool) as connection:
        total = await find_total(connection, matching, *arguments)
        # Where few names match, the index finds all of them before they are put in order. Left to itself
        # PostgreSQL may go through all tasks in that order, and where names count up the last ones may match.
        fence = "" if search is None or total.is_estimate else "OFFSET 0"
        place = len(arguments)
        statement = f"""
            SELECT * FROM (SELECT {_SHOWN} {matching} {fence}) AS found
            ORDER BY {TASK_ORDERS[sort]} LIMIT ${place + 1} OFFSET ${place + 2}
        """  # noqa: S608 - the parts are constants
        rows = await connection.fetch(statement, *arguments, limit, (page - 1) * limit)
    return rows, total


def _json(columns: Columns) -> str:
    """As PostgreSQL reads a row from JSON. A payload's own spelling stays as it is."""
    values = {name: f"\\x{value.hex()}" if isinstance(value, bytes) else value for name, value in columns.items()}
    return msgspec.json.encode(values).decode()
