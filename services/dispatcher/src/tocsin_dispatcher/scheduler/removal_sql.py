"""The scheduler's SQL about deleted tasks and what is left of them, named for what it answers or does."""

from typing import NamedTuple

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
