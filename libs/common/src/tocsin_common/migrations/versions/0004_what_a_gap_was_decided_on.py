"""What was known of the tasks when a gap was frozen, so that later changes do not change what was decided."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; a scheduler of the release before goes on without it."""
    op.execute("ALTER TABLE scheduler_lease ADD COLUMN gap_snapshot text")


def downgrade() -> None:
    """Take it away."""
    op.execute("ALTER TABLE scheduler_lease DROP COLUMN gap_snapshot")
