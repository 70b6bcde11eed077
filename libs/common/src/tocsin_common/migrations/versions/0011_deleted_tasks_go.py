"""Deleted tasks, and all that is left of them, are removed in the background."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Those that are still to be removed: few, and looked for again and again.
INDEX = "CREATE INDEX tasks_deleted ON tasks (updated_at, id) WHERE status = 'DELETED'"

# What the dispatcher calls once nothing of its own is left of them: the one way in which a task's row goes.
FORGET_TASKS = """
CREATE FUNCTION forget_tasks(ids uuid[]) RETURNS SETOF uuid
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH locked AS (
        SELECT id FROM tasks WHERE id = ANY(ids) AND status = 'DELETED' ORDER BY id FOR UPDATE
    ), revisions AS (
        DELETE FROM task_revisions r USING locked l WHERE r.task_id = l.id
    )
    DELETE FROM tasks t USING locked l WHERE t.id = l.id RETURNING t.id
$$
"""


def upgrade() -> None:
    """Add what that takes; a scheduler of the release before leaves them where they are."""
    op.execute(INDEX)
    op.execute(FORGET_TASKS)


def downgrade() -> None:
    """Take it away; what is gone stays so."""
    op.execute("DROP FUNCTION forget_tasks(uuid[])")
    op.execute("DROP INDEX tasks_deleted")
