"""What the claim asks where a task's executions must not overlap: which of them is under way."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INDEX = """
CREATE INDEX executions_under_way ON executions (task_id, scheduled_for) WHERE state IN ('waiting', 'running')
"""

# The earliest execution that is under way of each task, those aside that are being claimed just now. A function:
# in the claim itself all partitions would have to be opened for it, also where no task asks.
FIRST_UNDER_WAY = """
CREATE FUNCTION first_under_way(claimed_ids uuid[], claimed_fors timestamptz[])
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


def upgrade() -> None:
    """Add what a claim needs; one of the release before goes on without it."""
    op.execute(INDEX)
    op.execute(FIRST_UNDER_WAY)


def downgrade() -> None:
    """Take it away."""
    op.execute("DROP FUNCTION first_under_way(uuid[], timestamptz[])")
    op.execute("DROP INDEX executions_under_way")
