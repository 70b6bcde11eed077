"""What all senders know of a destination's limit and health, and of the limits that hold for their address."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UP = """
ALTER TABLE destinations
    DROP COLUMN next_slot_at,
    DROP COLUMN spacing_s,
    ADD COLUMN bucket text,
    ADD COLUMN window_limit integer,
    ADD COLUMN window_s float8,
    ADD COLUMN slots_from timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN slots_used integer NOT NULL DEFAULT 0,
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN failed_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD CONSTRAINT window_known CHECK ((window_limit IS NULL) = (window_s IS NULL));

ALTER TABLE executions ADD COLUMN has_slot boolean NOT NULL DEFAULT false;

CREATE TABLE egress_groups (
    egress_group text PRIMARY KEY,
    window_from timestamptz NOT NULL DEFAULT 'epoch',
    window_used integer NOT NULL DEFAULT 0,
    next_slot_at timestamptz NOT NULL DEFAULT 'epoch',
    blocked_until timestamptz NOT NULL DEFAULT 'epoch',
    invalid_from timestamptz NOT NULL DEFAULT 'epoch',
    invalid integer NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 0
)
"""

DOWN = """
DROP TABLE egress_groups;

ALTER TABLE executions DROP COLUMN has_slot;

ALTER TABLE destinations
    DROP CONSTRAINT window_known,
    DROP COLUMN bucket,
    DROP COLUMN window_limit,
    DROP COLUMN window_s,
    DROP COLUMN slots_from,
    DROP COLUMN slots_used,
    DROP COLUMN failures,
    DROP COLUMN failed_at,
    ADD COLUMN next_slot_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN spacing_s float8 NOT NULL DEFAULT 0
"""


def upgrade() -> None:
    """What was known in another form is learned anew."""
    for statement in UP.split(";"):
        op.execute(statement)


def downgrade() -> None:
    """Take it away."""
    for statement in DOWN.split(";"):
        op.execute(statement)
