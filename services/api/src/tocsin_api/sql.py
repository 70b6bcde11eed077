"""ADAPTER. All of the API's SQL, each statement named for the question it answers.

A change of a task is one statement: it locks the row first, then takes revision + 1 and an effective-from
that is later than the last one by the database's clock, and appends the revision. Task ids of deleted tasks
answer nothing. Raises UnavailableError where PostgreSQL is away.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from tocsin_api.errors import NoPartitionError
from tocsin_api.idempotency import RequestKey
from tocsin_common.database import CONNECTION_ERRORS
from tocsin_common.errors import UnavailableError

ACQUIRE_TIMEOUT_S = 5  # a request waits so long for a free connection, or for a new one
KEY_LIFETIME = timedelta(hours=24)  # so long a request that is repeated with its key is the same one
KEY_KEPT = KEY_LIFETIME + timedelta(hours=1)  # no key goes while a request with it is being answered
MAX_OLD_KEYS = 100  # that one new key takes with it

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

_TOGGLED = "json_build_object('status', CASE WHEN status = 'ACTIVE' THEN 'INACTIVE' ELSE 'ACTIVE' END)"

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
    WHERE t.id = old.id AND NOT (r.window_is_empty OR r.run_at_is_outside OR r.run_at_is_past)
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
      AND NOT (r.window_is_empty OR r.run_at_is_outside OR r.run_at_is_past)
      AND w.webhook_url_sealed <> old.webhook_url_sealed
), appended AS (
    {_APPEND_REVISION} FROM changed
), shown AS (
    SELECT {_SHOWN}, revision FROM changed
    UNION ALL
    SELECT {_SHOWN}, NULL FROM old WHERE NOT EXISTS (SELECT FROM changed)
)
SELECT shown.*, old.status AS old_status, refused.* FROM shown, old, refused
"""  # noqa: S608 - the columns are constants

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

# Which executions `e` are asked for: the same for what is listed and for what is replayed.
_WHICH_EXECUTIONS = """
  AND ($1::uuid IS NULL OR e.task_id = $1) AND ($2::text IS NULL OR e.state = $2)
  AND ($3::text IS NULL OR e.reason ILIKE $3)
  AND ($4::timestamptz IS NULL OR e.scheduled_for >= $4) AND ($5::timestamptz IS NULL OR e.scheduled_for < $5)
"""

_MATCHING_EXECUTIONS = f"""
FROM executions AS e JOIN tasks AS t ON t.id = e.task_id
WHERE t.status <> 'DELETED' {_WHICH_EXECUTIONS}
"""

# What comes after a key. Said twice: the first leaves out whole partitions, the second the rest.
_AFTER_KEY = "AND e.scheduled_for >= $6 AND (e.scheduled_for, e.task_id) > ($6::timestamptz, $7::uuid)"

# The functions are the dispatcher's: what is against a replay, and the one way in which the api brings executions
# back. now() is when the statement began: with clock_timestamp() the first could not be planned as a part of it.
# 'failed' is said once more, so that the index of those serves in every plan.
_COUNT_REPLAYS = f"""
SELECT e.refusal, count(*) AS executions FROM judge_replays(now() - $6::interval) AS e
WHERE e.state = 'failed' {_WHICH_EXECUTIONS}
GROUP BY e.refusal
"""  # noqa: S608 - built from constants above

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
        SELECT e.scheduled_for, e.task_id {_MATCHING_EXECUTIONS} AND e.state = 'failed' {_AFTER_KEY}
        ORDER BY e.scheduled_for, e.task_id LIMIT $8
    ) AS oldest
) AS found,
    replay_executions(instants, ids, now() - $9::interval, COALESCE($10, clock_timestamp()), $11, $12) AS r
"""  # noqa: S608 - as above

# The function is the dispatcher's: the one way in which the api adds an execution.
_RUN_TASK = """
SELECT add_manual_execution(id, destination, $2) AS scheduled_for, id AS task_id, destination
FROM tasks WHERE id = $1 AND status <> 'DELETED'
"""

# Whoever comes second waits here until the first has committed or failed, and then gets no row where the first
# has committed. An old key is free.
_TAKE_KEY = """
INSERT INTO idempotency_keys AS k (scope, key, request_hash, task_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (scope, key) DO UPDATE
SET request_hash = excluded.request_hash, task_id = excluded.task_id, scheduled_for = NULL,
    created_at = clock_timestamp()
WHERE k.created_at < clock_timestamp() - $5::interval
RETURNING true
"""

_FIND_KEY = "SELECT request_hash, task_id, scheduled_for FROM idempotency_keys WHERE scope = $1 AND key = $2"

_FORGET_KEY = "DELETE FROM idempotency_keys WHERE scope = $1 AND key = $2"

# Each new key takes some old ones with it. SKIP LOCKED: nobody waits for another's key.
_KEEP_KEY = """
WITH old AS (
    SELECT scope, key FROM idempotency_keys WHERE created_at < clock_timestamp() - $4::interval
    ORDER BY created_at LIMIT $5 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM idempotency_keys AS k USING old WHERE (k.scope, k.key) = (old.scope, old.key)
)
UPDATE idempotency_keys SET scheduled_for = $3 WHERE scope = $1 AND key = $2
"""

# A page of all tasks by id, deleted ones too. Only those have a `sealed` that another key than the first sealed.
_LIST_SEALED = """
SELECT id, status = 'DELETED' AS is_deleted,
       CASE WHEN substring(webhook_url_sealed FROM 1 FOR octet_length($1::bytea)) <> $1
            THEN webhook_url_sealed END AS sealed
FROM tasks WHERE id > $2 ORDER BY id LIMIT $3
"""

# Where a client has sent another URL since the value was read, that one stays.
_SEAL_ANEW = """
WITH opened AS (
    SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[]) AS o (id, was, sealed, url_hash)
), locked AS (
    SELECT t.id, o.sealed, o.url_hash FROM tasks t JOIN opened o USING (id)
    WHERE t.webhook_url_sealed = o.was ORDER BY t.id FOR UPDATE OF t
), renewed AS (
    UPDATE tasks t SET webhook_url_sealed = l.sealed, webhook_url_hash = l.url_hash
    FROM locked l WHERE t.id = l.id RETURNING 1
)
SELECT count(*) FROM renewed
"""

_COUNT_SEALED_OTHERWISE = """
SELECT count(*) FROM tasks
WHERE status <> 'DELETED' AND substring(webhook_url_sealed FROM 1 FOR octet_length($1::bytea)) <> $1
"""

_SCHEDULER = """
SELECT CASE WHEN expires_at > now THEN holder END AS leader, epoch, watermark,
       GREATEST(EXTRACT(EPOCH FROM now - watermark), 0)::float8 AS lag_seconds, tasks, schedules,
       (SELECT paused_at FROM scheduler_pause) AS paused_at
FROM scheduler_lease, (SELECT clock_timestamp() AS now) AS clock
"""

# Who pauses what is paused already does not begin anew.
_PAUSE_SCHEDULER = "UPDATE scheduler_pause SET paused_at = clock_timestamp() WHERE paused_at IS NULL"

_RESUME_SCHEDULER = "UPDATE scheduler_pause SET paused_at = NULL WHERE paused_at IS NOT NULL"

Row = Any
"""asyncpg.Record, which ships no type information: columns by name."""

Columns = Mapping[str, object]
"""Values by column: what is not named stays as it is, None clears."""

Key = tuple[datetime, UUID]
"""An execution: its instant and its task."""

BEFORE_ALL: Key = (datetime.min.replace(tzinfo=UTC), UUID(int=0))


class LogFilter(NamedTuple):
    """Which logs are asked for; None asks for all."""

    task_id: UUID | None
    status: str | None
    since: datetime | None
    until: datetime | None
    """Exclusive."""


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
        return self._replace(reason=_containing(self.reason))


class Replaying(NamedTuple):
    """How executions are brought back."""

    retention: timedelta
    """What is older stays as it is."""
    first_at: datetime | None
    """When the first is due; None is now."""
    spacing: timedelta
    """Between one and the next."""
    give_up_after: timedelta


class Resealed(NamedTuple):
    """A task's URL, sealed with another key than before."""

    task_id: UUID
    was: bytes
    sealed: bytes
    url_hash: bytes


async def add_task(pool: asyncpg.Pool, columns: Columns) -> Row:
    """Create the task and its first revision.

    Its `revision` is None where its one instant, `wanted_run_at`, had passed at the `moment` of the attempt.
    """
    async with _connection(pool) as connection:
        return await connection.fetchrow(_ADD_TASK, _json(columns))


async def change_task(
    pool: asyncpg.Pool, task_id: UUID, columns: Columns, url_hashes: Sequence[bytes] = ()
) -> Row | None:
    """The task after the change of these columns; None where there is none.

    Its `revision` is None where nothing changed: also where `window_is_empty`, `run_at_is_outside` that window or
    `run_at_is_past` refuse it. `url_hashes` are those that a URL among the columns may have had.
    """
    async with _connection(pool) as connection:
        return await connection.fetchrow(_REVISE_TASK, task_id, _json(columns), url_hashes)


async def toggle_task(pool: asyncpg.Pool, task_id: UUID) -> Row | None:
    """ACTIVE becomes INACTIVE, anything else ACTIVE. Answers as `change_task`."""
    async with _connection(pool) as connection:
        return await connection.fetchrow(_REVISE_TASK, task_id, None, ())


async def delete_task(pool: asyncpg.Pool, task_id: UUID) -> Row | None:
    """The task, gone from here on, and the `old_status` it had. A delete is a status: executions refer to it."""
    return await change_task(pool, task_id, {"status": "DELETED"})


async def find_task(pool: asyncpg.Pool, task_id: UUID) -> Row | None:
    """One task."""
    async with _connection(pool) as connection:
        return await connection.fetchrow(_FIND_TASK, task_id)


async def list_tasks(
    pool: asyncpg.Pool, *, status: str | None, search: str | None, sort: str, page: int, limit: int
) -> tuple[list[Row], int]:
    """One page of tasks, and how many there are in all."""
    pattern = _containing(search)
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


async def list_executions(
    pool: asyncpg.Pool, which: ExecutionFilter, *, page: int, limit: int
) -> tuple[list[Row], int]:
    """One page of the executions of living tasks, newest first, and how many there are in all."""
    order = "e.scheduled_for DESC, e.task_id DESC"
    statement = f"SELECT e.*, t.name AS task_name {_MATCHING_EXECUTIONS} ORDER BY {order} LIMIT $6 OFFSET $7"
    async with _connection(pool) as connection:
        total = await connection.fetchval(f"SELECT count(*) {_MATCHING_EXECUTIONS}", *which.arguments())
        rows = await connection.fetch(statement, *which.arguments(), limit, (page - 1) * limit)
    return rows, total


async def count_executions(pool: asyncpg.Pool, which: ExecutionFilter, *, after: Key) -> int:
    """How many executions of living tasks come after a key."""
    statement = f"SELECT count(*) {_MATCHING_EXECUTIONS} {_AFTER_KEY}"
    async with _connection(pool) as connection:
        count: int = await connection.fetchval(statement, *which.arguments(), *after)
    return count


async def count_replays(pool: asyncpg.Pool, which: ExecutionFilter, retention: timedelta) -> dict[str | None, int]:
    """How many executions there are by what is against their replay; None is nothing."""
    async with _connection(pool) as connection:
        rows = await connection.fetch(_COUNT_REPLAYS, *which.arguments(), retention)
    return {row["refusal"]: row["executions"] for row in rows}


async def judge_replays(pool: asyncpg.Pool, keys: Collection[Key], retention: timedelta) -> list[Row]:
    """Each of these executions with the `refusal` of its replay; None is none."""
    async with _connection(pool) as connection:
        rows: list[Row] = await connection.fetch(_JUDGE_REPLAYS, *_columns(keys), retention)
    return rows


async def replay_named(pool: asyncpg.Pool, keys: Collection[Key], how: Replaying) -> list[Row]:
    """Bring these executions back, the oldest first; each comes with its `refusal`, or with when it is due."""
    async with _connection(pool) as connection:
        rows: list[Row] = await connection.fetch(_REPLAY_NAMED, *_columns(keys), *how)
    return rows


async def replay_matching(
    pool: asyncpg.Pool, which: ExecutionFilter, how: Replaying, *, after: Key, limit: int
) -> list[Row]:
    """The same for the oldest of these executions, failed ones, that come after a key."""
    arguments = (*which.arguments(), *after, limit, *how)
    async with _connection(pool) as connection:
        rows: list[Row] = await connection.fetch(_REPLAY_MATCHING, *arguments)
    return rows


async def run_task(
    pool: asyncpg.Pool, task_id: UUID, give_up_after: timedelta, key: RequestKey | None
) -> tuple[Row | None, bool]:
    """The execution of the task that is owed now, and whether it is new; None where there is no such task.

    It is not new where the key was used within KEY_LIFETIME: then it is that request's, with its `request_hash`.
    Only the key is locked meanwhile, so whoever is frozen here holds up none but the same request.
    """
    async with _connection(pool) as connection:
        if key is None:
            return await _add_execution(connection, task_id, give_up_after), True
        async with connection.transaction():
            if not await connection.fetchval(_TAKE_KEY, *key, task_id, KEY_LIFETIME):
                return await connection.fetchrow(_FIND_KEY, key.scope, key.key), False
            row = await _add_execution(connection, task_id, give_up_after)
            if row is None:
                await connection.execute(_FORGET_KEY, key.scope, key.key)
            else:
                kept = (key.scope, key.key, row["scheduled_for"], KEY_KEPT, MAX_OLD_KEYS)
                await connection.execute(_KEEP_KEY, *kept)
            return row, True


async def show_scheduler(pool: asyncpg.Pool) -> Row:
    """Who leads, how far everything owed has its row, and whether it is paused."""
    async with _connection(pool) as connection:
        return await connection.fetchrow(_SCHEDULER)


async def pause_scheduler(pool: asyncpg.Pool, *, paused: bool) -> None:
    """Let nothing be emitted from now on, or let it go on."""
    async with _connection(pool) as connection:
        await connection.execute(_PAUSE_SCHEDULER if paused else _RESUME_SCHEDULER)


async def list_sealed(pool: asyncpg.Pool, key_id: bytes, *, after: UUID, limit: int) -> list[Row]:
    """The next tasks by id: `is_deleted`, and what another key than this one has `sealed`, else None."""
    async with _connection(pool) as connection:
        rows: list[Row] = await connection.fetch(_LIST_SEALED, key_id, after, limit)
        return rows


async def seal_anew(pool: asyncpg.Pool, urls: Sequence[Resealed]) -> int:
    """Replace what was sealed; how many of them were still the task's. No revision: nothing else changes."""
    async with _connection(pool) as connection:
        count: int = await connection.fetchval(_SEAL_ANEW, *map(list, zip(*urls, strict=True)))
        return count


async def count_sealed_otherwise(pool: asyncpg.Pool, key_id: bytes) -> int:
    """How many tasks have a URL that another key than this one sealed; deleted ones do not count."""
    async with _connection(pool) as connection:
        count: int = await connection.fetchval(_COUNT_SEALED_OTHERWISE, key_id)
        return count


async def find_schema_revision(pool: asyncpg.Pool) -> str | None:
    """The migration that the database is at; None where it was never migrated."""
    async with _connection(pool) as connection:
        if await connection.fetchval("SELECT to_regclass('alembic_version') IS NULL"):
            return None
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        return revision


async def _add_execution(connection: Any, task_id: UUID, give_up_after: timedelta) -> Row | None:
    try:
        return await connection.fetchrow(_RUN_TASK, task_id, give_up_after)
    except asyncpg.CheckViolationError as error:
        raise NoPartitionError("executions have no partition for today yet: a scheduler makes it") from error


@asynccontextmanager
async def _connection(pool: asyncpg.Pool) -> AsyncIterator[Any]:
    try:
        async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            yield connection
    except CONNECTION_ERRORS as error:
        raise UnavailableError(f"PostgreSQL does not answer: {type(error).__name__}") from error


def _json(columns: Columns) -> str:
    """As PostgreSQL reads a row from JSON. A payload's own spelling stays as it is."""
    values = {name: f"\\x{value.hex()}" if isinstance(value, bytes) else value for name, value in columns.items()}
    return msgspec.json.encode(values).decode()


def _columns(keys: Collection[Key]) -> tuple[list[datetime], list[UUID]]:
    return [instant for instant, _ in keys], [task_id for _, task_id in keys]


def _containing(text: str | None) -> str | None:
    """What LIKE takes to find it anywhere; None stays None."""
    if text is None:
        return None
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"
