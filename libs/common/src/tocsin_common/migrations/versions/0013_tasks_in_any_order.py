"""Indexes for a million tasks in the order of their names, or of their last changes."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INDEXES = (
    "CREATE INDEX tasks_updated_at ON tasks (updated_at, id)",
    "CREATE INDEX tasks_by_name ON tasks (name, id)",
)


def upgrade() -> None:
    """Add them."""
    for index in INDEXES:
        op.execute(index)


def downgrade() -> None:
    """Take them away."""
    op.execute("DROP INDEX tasks_by_name")
    op.execute("DROP INDEX tasks_updated_at")
