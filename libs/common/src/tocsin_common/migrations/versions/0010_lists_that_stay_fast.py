"""Indexes for lists of a million tasks and ten million logs, and what the dashboard shows of the scheduler."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# A part of a name is looked for by its trigrams, which PostgreSQL's own extension knows. Whoever may create
# something in the database may create it too; it stays when this is taken back, for it may have been there before.
# Without `fastupdate = off`, searches would read a list of what was added lately, and now and then an insert would
# have to work it off.
EXTENSION = "CREATE EXTENSION IF NOT EXISTS pg_trgm"

INDEXES = (
    "CREATE INDEX tasks_name ON tasks USING gin (name gin_trgm_ops) WITH (fastupdate = off)",
    "CREATE INDEX tasks_status ON tasks (status, created_at, id)",
    # Nearly all attempts succeed: of those the other index finds enough.
    """
    CREATE INDEX task_logs_unsuccessful ON task_logs (status, created_at) WHERE status IN ('FAILED', 'RETRYING')
    """,
)


def upgrade() -> None:
    """Add them. A partition that is attached later gets the indexes too."""
    op.execute(EXTENSION)
    for index in INDEXES:
        op.execute(index)
    # Last: a leader cannot renew its lease from here until the end. One of before goes on without it.
    op.execute("ALTER TABLE scheduler_lease ADD COLUMN next_due_at timestamptz")


def downgrade() -> None:
    """Take them away."""
    op.execute("ALTER TABLE scheduler_lease DROP COLUMN next_due_at")
    op.execute("DROP INDEX task_logs_unsuccessful")
    op.execute("DROP INDEX tasks_status")
    op.execute("DROP INDEX tasks_name")
