"""All SQL of the scheduler, named for what it answers or does.

Each statement that takes row locks takes them in key order and commits by itself, so two processes never wait
for each other in a circle and a frozen one blocks nobody.
"""

from typing import NamedTuple

# --- Lease --------------------------------------------------------------------------------------------------

# A transaction id means something in this database only, and not after a copy of it went on by itself.
_DATABASE_ID = """
(SELECT system_identifier FROM pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
"""

LEASE = f"""
SELECT watermark, feed_xid, feed_snapshot, database_id, reboot_at, {_DATABASE_ID} AS current_database_id
FROM scheduler_lease
"""  # noqa: S608 - built from a constant above

TAKE_LEASE = f"""
UPDATE scheduler_lease
SET holder = $1, epoch = epoch + 1, expires_at = clock_timestamp() + $2::interval,
    reboot_at = CASE WHEN expires_at < clock_timestamp() - $3::interval THEN clock_timestamp() ELSE reboot_at END
WHERE expires_at <= clock_timestamp() OR holder = $1
RETURNING epoch, watermark, feed_xid, feed_snapshot, database_id, gap_until, gap_snapshot, reboot_at,
          clock_timestamp() AS now, {_DATABASE_ID} AS current_database_id
"""  # noqa: S608 - built from a constant above

RENEW_LEASE = """
UPDATE scheduler_lease
SET expires_at = clock_timestamp() + $3::interval, tasks = $4, schedules = $5, next_due_at = $6
WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp()
RETURNING clock_timestamp() AS now
"""

RELEASE_LEASE = """
UPDATE scheduler_lease SET expires_at = LEAST(expires_at, clock_timestamp()), holder = NULL
WHERE holder = $1 AND epoch = $2
RETURNING true
"""

# --- Snapshot and feed --------------------------------------------------------------------------------------

_REVISION = """
revision, effective_from, status = 'ACTIVE', destination, schedule, timezone, run_at, starts_at, ends_at,
catch_up, jitter_s
"""


class Snapshot(NamedTuple):
    """How to read all tasks in one transaction; each statement takes where to begin."""

    changes: str
    """What changed since then, as FEED shows it."""
    before: str
    """What the tasks that changed were before."""
    unchanged: str
    """The active tasks that did not change."""


# `next_xid` belongs to the same snapshot as the rows, so whatever commits later has an xid at or after it.
# One row without a task comes back where nothing changed.
_CHANGES = f"""
SELECT task_id, {_REVISION}, xid, pg_snapshot_xmin(pg_current_snapshot()) AS next_xid, clock_timestamp() AS now,
       pg_current_snapshot()::text AS snapshot, {_DATABASE_ID} AS database_id,
       (SELECT paused_at IS NOT NULL FROM scheduler_pause) AS is_paused
FROM (VALUES (true)) always LEFT JOIN task_revisions ON %(since)s
ORDER BY task_id, revision
"""  # noqa: S608 - built from constants above

_BEFORE = f"""
SELECT DISTINCT ON (task_id) task_id, {_REVISION}
FROM task_revisions JOIN (SELECT DISTINCT task_id FROM task_revisions WHERE %(since)s) changed USING (task_id)
WHERE NOT %(since)s
ORDER BY task_id, revision DESC
"""  # noqa: S608 - built from constants above

_UNCHANGED = f"""
SELECT id, {_REVISION} FROM tasks
WHERE status = 'ACTIVE' AND NOT EXISTS (SELECT FROM task_revisions r WHERE r.task_id = tasks.id AND r.%(since)s)
"""  # noqa: S608 - built from constants above


SNAPSHOT_BY_XID, SNAPSHOT_BY_EFFECTIVE_FROM = (
    Snapshot(*(statement % {"since": since} for statement in (_CHANGES, _BEFORE, _UNCHANGED)))
    for since in ("xid >= $1", "effective_from > $1")
)
# What was visible in the snapshot $2 is known: where a transaction stays open for long, all that follows it has an
# xid at or after $1.
FEED = _CHANGES % {"since": "xid >= $1 AND NOT pg_visible_in_snapshot(xid, $2::text::pg_snapshot)"}

# The api's own function.
DISOWN_REVISIONS = "SELECT disown_revisions()"

TALLY = """
SELECT get_byte(uuid_send(id), 15) AS bucket, count(*) AS tasks, sum(revision)::bigint AS total
FROM tasks WHERE status = 'ACTIVE' GROUP BY 1
"""

TASKS_IN_BUCKETS = f"""
SELECT id, {_REVISION} FROM tasks WHERE get_byte(uuid_send(id), 15) = ANY($1::integer[])
"""  # noqa: S608 - built from a constant above

# --- Emission and sweep -------------------------------------------------------------------------------------

# No lease, no row; nor while all is paused. The watermark and the feed's position move in the statement that
# commits what is below them.
# The lease holds in the database that it was taken in: where a copy answers that lacks the last commits, as after
# a failover, its lease may still seem to be ours, and the watermark would pass over what the copy lacks.
EMIT = f"""
WITH lease AS (
    UPDATE scheduler_lease
    SET watermark = CASE WHEN is_paused THEN watermark ELSE GREATEST(watermark, $3::timestamptz) END,
        feed_snapshot = CASE WHEN is_paused OR $4::xid8 < feed_xid THEN feed_snapshot ELSE $12::text END,
        feed_xid = CASE WHEN is_paused THEN feed_xid ELSE GREATEST(feed_xid, $4::xid8) END
    FROM (SELECT paused_at IS NOT NULL AS is_paused FROM scheduler_pause) AS pause
    WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp() AND {_DATABASE_ID} = $11::text
    RETURNING is_paused
), emitted AS (
    INSERT INTO executions (scheduled_for, task_id, destination, kind, jitter_ms, next_at, give_up_at)
    SELECT scheduled_for, task_id, destination, kind, jitter_ms,
           scheduled_for + jitter_ms * interval '1 millisecond', clock_timestamp() + $10::interval
    FROM lease, unnest($5::timestamptz[], $6::uuid[], $7::text[], $8::text[], $9::integer[])
        AS j (scheduled_for, task_id, destination, kind, jitter_ms)
    WHERE NOT is_paused
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING
    RETURNING true
)
SELECT EXISTS (SELECT FROM lease) AS held, (SELECT count(*) FROM emitted) AS emitted, clock_timestamp() AS now,
       (SELECT is_paused FROM lease) AS is_paused
"""  # noqa: S608 - built from a constant above

# Once all that a heap loaded from another database's position made owed was emitted.
ADOPT_POSITION = f"""
UPDATE scheduler_lease SET feed_xid = $3::xid8, feed_snapshot = $4, database_id = $5
WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp() AND {_DATABASE_ID} = $5::text
RETURNING true
"""  # noqa: S608 - built from a constant above

# The decision on a gap is frozen before the first row of it is written, so that a crash changes nothing of it.
FREEZE_GAP = f"""
UPDATE scheduler_lease SET gap_until = $3, gap_snapshot = $4
WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp() AND {_DATABASE_ID} = $5::text
RETURNING true
"""  # noqa: S608 - built from a constant above

# The position moves along where nothing is left that changes owe.
CLOSE_GAP = f"""
UPDATE scheduler_lease
SET gap_until = NULL, gap_snapshot = NULL, watermark = GREATEST(watermark, gap_until),
    feed_snapshot = CASE WHEN $4::xid8 < feed_xid THEN feed_snapshot ELSE $5::text END,
    feed_xid = GREATEST(feed_xid, $4::xid8)
WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp() AND {_DATABASE_ID} = $3::text
RETURNING true
"""  # noqa: S608 - built from a constant above

# A leader that died in the middle left rows: what it emitted is not missed, and what it counted as missed is not
# counted again. Where the newest was emitted, by what the task was before, the row stands right before it.
# The lease is locked until the end: where this takes its time, nobody else may lead and decide anew without seeing
# what it leaves.
RECORD_MISSED = f"""
WITH lease AS (
    SELECT FROM scheduler_lease
    WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp() AND {_DATABASE_ID} = $9::text FOR UPDATE
)
INSERT INTO executions (scheduled_for, task_id, kind, state, destination, next_at, give_up_at, finished_at,
                        missed_from, missed_count)
SELECT place.newest, m.task_id, m.kind, 'missed', m.destination, m.newest, m.newest, clock_timestamp(),
       COALESCE(known.accounted_until + interval '1 microsecond', m.oldest), m.count - known.count
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::integer[])
    AS m (task_id, destination, kind, newest, oldest, count)
CROSS JOIN LATERAL (
    SELECT max(scheduled_for) FILTER (WHERE state = 'missed' OR scheduled_for = m.oldest) AS accounted_until,
           CASE WHEN bool_or(state = 'missed' AND missed_count IS NULL) THEN NULL
                ELSE COALESCE(sum(CASE WHEN state = 'missed' THEN missed_count ELSE 1 END), 0) END AS count
    FROM executions
    WHERE task_id = m.task_id AND kind = m.kind AND scheduled_for BETWEEN m.oldest AND m.newest
) AS known
CROSS JOIN LATERAL (
    SELECT CASE WHEN EXISTS (
               SELECT FROM executions
               WHERE scheduled_for = m.newest AND task_id = m.task_id AND state <> 'missed'
           ) THEN m.newest - interval '1 microsecond' ELSE m.newest END AS newest
) AS place
WHERE EXISTS (SELECT FROM lease)
  AND (m.count - known.count > 0) IS NOT FALSE
ORDER BY 1, 2
ON CONFLICT DO NOTHING
RETURNING true
"""  # noqa: S608 - built from a constant above

# SKIP LOCKED: a sweep never waits for a sender, nor a sender in a circle for a sweep.
GIVE_UP = """
WITH hopeless AS (
    SELECT scheduled_for, task_id FROM executions
    WHERE state IN ('due', 'waiting', 'running') AND next_at <= clock_timestamp()
      AND (give_up_at <= clock_timestamp() OR (state = 'running' AND lost_claims + 1 >= $3))
      AND EXISTS (SELECT FROM scheduler_lease WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp())
    ORDER BY next_at LIMIT $4
    FOR UPDATE SKIP LOCKED
)
UPDATE executions e
SET state = 'failed', claimed_by = NULL, finished_at = clock_timestamp(),
    reason = CASE WHEN give_up_at <= clock_timestamp() THEN 'given up: too old' ELSE 'given up: lost claims' END
FROM hopeless h WHERE e.scheduled_for = h.scheduled_for AND e.task_id = h.task_id
RETURNING e.scheduled_for, e.task_id, e.destination, e.reason, e.failures
"""

OVERDUE = """
WITH overdue AS (
    SELECT scheduled_for, task_id, state FROM executions
    WHERE state IN ('due', 'waiting', 'running') AND next_at <= clock_timestamp()
      AND next_at + CASE WHEN state = 'running' AND sweeps = 0 THEN interval '0'
                         ELSE $3::interval * 2 ^ sweeps END <= clock_timestamp()
      AND EXISTS (SELECT FROM scheduler_lease WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp())
    ORDER BY next_at LIMIT $4
    FOR UPDATE SKIP LOCKED
)
UPDATE executions e SET sweeps = LEAST(e.sweeps + 1, 10)
FROM overdue o WHERE e.scheduled_for = o.scheduled_for AND e.task_id = o.task_id
RETURNING e.scheduled_for, e.task_id, e.destination, e.state
"""

# The api's own function makes the tasks INACTIVE. LATERAL with OFFSET 0: one look-up for each task whose instant
# has come, never a walk through the executions. What lies before $4 has no row any more, and gets none.
FINISH_ONCE = """
WITH ended AS (
    SELECT t.id, t.run_at,
           COALESCE('its one run ended: ' || e.state, 'its one run is older than what is kept') AS reason
    FROM tasks t LEFT JOIN LATERAL (
        SELECT state FROM executions WHERE scheduled_for = t.run_at AND task_id = t.id OFFSET 0
    ) AS e ON true
    WHERE t.status = 'ACTIVE' AND t.run_at <= clock_timestamp()
      AND (e.state NOT IN ('due', 'waiting', 'running') OR (e.state IS NULL AND t.run_at < $4::timestamptz))
      AND EXISTS (SELECT FROM scheduler_lease WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp())
    ORDER BY t.run_at LIMIT $3
)
SELECT finished.task_id
FROM (SELECT array_agg(id) AS ids, array_agg(run_at) AS run_ats,
             array_agg(reason) AS reasons FROM ended) AS all_of_them
CROSS JOIN LATERAL finish_tasks(ids, run_ats, reasons) AS finished (task_id)
"""

# --- Removal of deleted tasks -------------------------------------------------------------------------------

_REMOVED_AT_A_TIME = 500  # rows: some ten milliseconds

# By when they were deleted: nothing else changes a deleted task.
DELETED_TASKS = """
SELECT t.id, t.updated_at,
       EXISTS (SELECT FROM task_logs l WHERE l.task_id = t.id)
       OR EXISTS (SELECT FROM executions e
                  WHERE e.task_id = t.id AND e.state NOT IN ('due', 'waiting', 'running')) AS has_remains
FROM tasks t
WHERE t.status = 'DELETED' AND (t.updated_at, t.id) > (COALESCE($1::timestamptz, '-infinity'), $2::uuid)
ORDER BY t.updated_at, t.id LIMIT $3
"""


class Remains(NamedTuple):
    """How to remove some of what a table has of a deleted task."""

    place: str
    """From which instant to which some of it is, that of `first` and `last`: nulls where there is none."""
    remove: str
    """Removes some between these two. They say which partitions to look at, and a row that is held is left out."""


_PLACE = f"""
SELECT min(scheduled_for) AS first, max(scheduled_for) AS last
FROM (SELECT scheduled_for FROM %(table)s WHERE task_id = $1 AND %(which)s
      ORDER BY %(order)s LIMIT {_REMOVED_AT_A_TIME}) AS found
"""  # noqa: S608 - built from a constant above

_REMOVE = f"""
DELETE FROM %(table)s WHERE task_id = $1 AND scheduled_for BETWEEN $2 AND $3 AND scheduled_for = ANY (ARRAY(
    SELECT scheduled_for FROM %(table)s
    WHERE task_id = $1 AND scheduled_for BETWEEN $2 AND $3 AND %(which)s
      AND EXISTS (SELECT FROM tasks WHERE id = $1 AND status = 'DELETED')
    LIMIT {_REMOVED_AT_A_TIME} FOR UPDATE SKIP LOCKED
))
RETURNING true
"""  # noqa: S608 - built from a constant above

# What has not ended is not removed: a claim or the sweeper ends it soon.
REMAINING_EXECUTIONS, REMAINING_LOGS = (
    Remains(*(statement % what for statement in (_PLACE, _REMOVE)))
    for what in (
        {
            "table": "executions",
            "which": "state NOT IN ('due', 'waiting', 'running')",
            "order": "scheduled_for",
        },
        {"table": "task_logs", "which": "true", "order": "created_at"},
    )
)

# The api's own function removes the tasks, once the leader has dealt with their deletion and nothing is left of
# them. A gap may still owe what they were before it. LIMIT 1: each is looked up by itself, never in a walk through
# all executions.
FORGET_TASKS = """
WITH gone AS MATERIALIZED (
    SELECT array_agg(t.id) AS ids FROM tasks t, scheduler_lease lease
    WHERE t.id = ANY($1::uuid[]) AND t.status = 'DELETED'
      AND t.updated_at < LEAST(clock_timestamp() - $2::interval, lease.watermark) AND lease.gap_until IS NULL
      AND NOT EXISTS (SELECT FROM task_revisions r WHERE r.task_id = t.id AND r.xid >= lease.feed_xid)
      AND (SELECT true FROM executions e WHERE e.task_id = t.id LIMIT 1) IS NULL
      AND (SELECT true FROM task_logs l WHERE l.task_id = t.id LIMIT 1) IS NULL
), stateless AS (
    DELETE FROM task_state s USING gone WHERE s.task_id = ANY(gone.ids)
)
SELECT id FROM gone CROSS JOIN LATERAL forget_tasks(ids) AS forgotten (id)
"""

# --- Samples ------------------------------------------------------------------------------------------------

# Of the first $1 that may be claimed, by the index of open executions: to count all of a great backlog would take
# seconds, again and again.
OPEN_EXECUTIONS = """
SELECT state, count(*) AS executions,
       EXTRACT(EPOCH FROM clock_timestamp() - min(scheduled_for))::float8 AS age_s,
       EXTRACT(EPOCH FROM clock_timestamp() - min(next_at))::float8 AS overdue_s
FROM (
    SELECT state, scheduled_for, next_at FROM executions
    WHERE state IN ('due', 'waiting', 'running')
    ORDER BY next_at LIMIT $1
) AS first
GROUP BY state
"""

# What autovacuum last found; -1: it has not looked yet.
STORED_EXECUTIONS = """
SELECT COALESCE(sum(GREATEST(c.reltuples, 0)), 0)::float8
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'executions'::regclass
"""

# --- Partitions ---------------------------------------------------------------------------------------------

# The tables' owner's own functions: to make and to drop partitions takes all rights over a table.
MAKE_PARTITIONS = "SELECT make_partitions($1::date) AS name"

# A row without a name says that the day is kept.
DROP_PARTITIONS = "SELECT drop_partitions($1::date) AS name"

# The days of which there are partitions that are named as the scheduler names them. What somebody detached, or
# made under another name, is left alone.
DAILY_PARTITIONS = """
SELECT DISTINCT right(c.relname, 8) AS day
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
JOIN pg_class parent ON parent.oid = i.inhparent AND c.relname ~ ('^' || parent.relname || '_[0-9]{8}$')
WHERE i.inhparent = ANY($1::text[]::regclass[])
ORDER BY 1
"""
