"""The scheduler's SQL about tasks and their revisions, named for what it answers or does."""

from typing import NamedTuple

from tocsin_dispatcher.scheduler.lease_sql import DATABASE_ID

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
       pg_current_snapshot()::text AS snapshot, {DATABASE_ID} AS database_id,
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
