"""Which changes a leader has dealt with, to the transaction; and transaction ids of another database."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# What a dump brought from another database has that one's transaction ids. Those that this one has not reached yet
# would count as new for ever, and its own changes as old.
DISOWN_REVISIONS = """
CREATE FUNCTION disown_revisions() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    UPDATE task_revisions SET xid = '0' WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())
$$
"""


def upgrade() -> None:
    """Add it; a scheduler of the release before goes on without it."""
    op.execute("ALTER TABLE scheduler_lease ADD COLUMN feed_snapshot text")
    op.execute(DISOWN_REVISIONS)


def downgrade() -> None:
    """Take it away."""
    op.execute("DROP FUNCTION disown_revisions()")
    op.execute("ALTER TABLE scheduler_lease DROP COLUMN feed_snapshot")
