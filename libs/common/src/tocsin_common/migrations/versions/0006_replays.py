"""Failed executions that somebody wants to be tried again."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE executions ADD COLUMN replayed_at timestamptz;
CREATE INDEX executions_failed ON executions (scheduled_for, task_id) WHERE state = 'failed';
"""

# Each execution, with what is against its replay; null where nothing is. What is older than `oldest` may soon be
# removed with its day. Its log is asked too: whatever its state says, what was posted once is not posted again.
# Without SECURITY DEFINER and SET, PostgreSQL plans it as a part of the statement that asks.
JUDGE_REPLAYS = """
CREATE FUNCTION judge_replays(oldest timestamptz)
RETURNS TABLE (scheduled_for timestamptz, task_id uuid, state text, reason text, destination text, refusal text)
LANGUAGE sql STABLE AS $$
    SELECT e.scheduled_for, e.task_id, e.state, e.reason, COALESCE(t.destination, e.destination),
           CASE WHEN t.id IS NULL OR t.status = 'DELETED' THEN 'task_deleted'
                WHEN e.state = 'succeeded' THEN 'succeeded'
                WHEN e.state <> 'failed' THEN 'not_failed'
                WHEN EXISTS (
                    SELECT FROM task_logs l
                    WHERE l.scheduled_for = e.scheduled_for AND l.task_id = e.task_id AND l.status = 'SUCCESS'
                ) THEN 'succeeded'
                WHEN e.scheduled_for < oldest THEN 'too_old'
                WHEN t.status = 'FAILED' THEN 'task_failed' END
    FROM executions e LEFT JOIN tasks t ON t.id = e.task_id
$$
"""

# What the api calls: the one way in which it brings executions back. All are locked first, in key order, and
# judged by a statement that begins after that: what a sender records meanwhile is waited for, and counts. `seq`
# goes on, for the log is keyed by it. The first is due at `first_at`, each further one `spacing` later. A plan for
# any keys looks up each of them; one for just these, if they are many, may read all partitions instead.
REPLAY_EXECUTIONS = """
CREATE FUNCTION replay_executions(instants timestamptz[], ids uuid[], oldest timestamptz, first_at timestamptz,
                                  spacing interval, give_up_after interval)
RETURNS TABLE (scheduled_for timestamptz, task_id uuid, destination text, next_at timestamptz, refusal text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM executions e
        JOIN unnest(instants, ids) AS w (scheduled_for, task_id) USING (scheduled_for, task_id)
    ORDER BY e.scheduled_for, e.task_id FOR UPDATE OF e;
    RETURN QUERY
    WITH judged AS MATERIALIZED (
        SELECT w.scheduled_for, w.task_id, j.destination,
               CASE WHEN j.task_id IS NULL THEN 'unknown' ELSE j.refusal END AS refusal
        FROM (SELECT DISTINCT * FROM unnest(instants, ids)) AS w (scheduled_for, task_id)
            LEFT JOIN judge_replays(oldest) j USING (scheduled_for, task_id)
    ), places AS (
        SELECT scheduled_for, task_id, destination,
               first_at + spacing * (row_number() OVER (ORDER BY scheduled_for, task_id) - 1) AS next_at
        FROM judged WHERE refusal IS NULL
    ), replayed AS (
        UPDATE executions e
        SET state = 'waiting', reason = NULL, finished_at = NULL, replayed_at = clock_timestamp(),
            failures = 0, lost_claims = 0, sweeps = 0, destination = p.destination,
            next_at = p.next_at, give_up_at = p.next_at + give_up_after
        FROM places p WHERE e.scheduled_for = p.scheduled_for AND e.task_id = p.task_id
        RETURNING e.scheduled_for, e.task_id, e.next_at
    )
    SELECT j.scheduled_for, j.task_id, j.destination, r.next_at, j.refusal
    FROM judged j LEFT JOIN replayed r USING (scheduled_for, task_id)
    ORDER BY j.scheduled_for, j.task_id;
END
$$
"""

# The earliest execution that is under way of each task, those aside that are being claimed just now. One that was
# replayed counts only while it runs: a replay may take hours, and what the schedule owes is not skipped for it.
FIRST_UNDER_WAY = """
CREATE OR REPLACE FUNCTION first_under_way(claimed_ids uuid[], claimed_fors timestamptz[])
RETURNS TABLE (task_id uuid, scheduled_for timestamptz)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path FROM CURRENT AS $$
BEGIN
    RETURN QUERY
    SELECT asked.id, first.scheduled_for
    FROM (SELECT DISTINCT id FROM unnest(claimed_ids) AS c (id)) AS asked
    CROSS JOIN LATERAL (
        SELECT e.scheduled_for FROM executions e
        WHERE e.task_id = asked.id AND e.state IN ('waiting', 'running')
          AND (e.state = 'running' OR e.replayed_at IS NULL)
          AND NOT EXISTS (
              SELECT FROM unnest(claimed_ids, claimed_fors) AS c (id, at)
              WHERE c.id = e.task_id AND c.at = e.scheduled_for
          )
        ORDER BY e.scheduled_for LIMIT 1
    ) AS first;
END
$$
"""

FIRST_UNDER_WAY_BEFORE = """
CREATE OR REPLACE FUNCTION first_under_way(claimed_ids uuid[], claimed_fors timestamptz[])
RETURNS TABLE (task_id uuid, scheduled_for timestamptz)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path FROM CURRENT AS $$
BEGIN
    RETURN QUERY
    SELECT asked.id, first.scheduled_for
    FROM (SELECT DISTINCT id FROM unnest(claimed_ids) AS c (id)) AS asked
    CROSS JOIN LATERAL (
        SELECT e.scheduled_for FROM executions e
        WHERE e.task_id = asked.id AND e.state IN ('waiting', 'running')
          AND NOT EXISTS (
              SELECT FROM unnest(claimed_ids, claimed_fors) AS c (id, at)
              WHERE c.id = e.task_id AND c.at = e.scheduled_for
          )
        ORDER BY e.scheduled_for LIMIT 1
    ) AS first;
END
$$
"""

DROP = """
DROP FUNCTION replay_executions(timestamptz[], uuid[], timestamptz, timestamptz, interval, interval);
DROP FUNCTION judge_replays(timestamptz);
DROP INDEX executions_failed;
ALTER TABLE executions DROP COLUMN replayed_at;
"""


def upgrade() -> None:
    """Add it; a sender of the release before treats what was replayed as any other execution."""
    for statement in _statements(TABLES):
        op.execute(statement)
    for function in (JUDGE_REPLAYS, REPLAY_EXECUTIONS, FIRST_UNDER_WAY):
        op.execute(function)


def downgrade() -> None:
    """Take it away; what waits since its replay goes on as any other execution."""
    op.execute(FIRST_UNDER_WAY_BEFORE)
    for statement in _statements(DROP):
        op.execute(statement)


def _statements(script: str) -> list[str]:
    """asyncpg takes one prepared statement at a time."""
    return [statement for statement in script.split(";") if statement.strip()]
