"""Who waits for a limit waits for its turn and owns no slot; what a destination told is apart from its breaker.

Each row that changes has a version, by which a decision that was made of an older one is noticed.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UP = """
ALTER TABLE destinations RENAME COLUMN slots_from TO window_from;

ALTER TABLE destinations RENAME COLUMN slots_used TO window_used;

ALTER TABLE destinations
    ALTER COLUMN window_from SET DEFAULT 'epoch',
    ALTER COLUMN blocked_until SET DEFAULT 'epoch',
    ALTER COLUMN failed_at SET DEFAULT 'epoch',
    ADD COLUMN next_slot_at timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN broken_until timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN guesses integer NOT NULL DEFAULT 0,
    ADD COLUMN guessed_at timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN version bigint NOT NULL DEFAULT 0;

UPDATE destinations SET window_from = 'epoch', blocked_until = GREATEST(blocked_until, 'epoch');

ALTER TABLE executions RENAME COLUMN has_slot TO has_waited;

ALTER TABLE egress_groups
    DROP COLUMN invalid_from,
    DROP COLUMN invalid,
    ADD COLUMN guesses integer NOT NULL DEFAULT 0,
    ADD COLUMN guessed_at timestamptz NOT NULL DEFAULT 'epoch';

CREATE TABLE egress_invalid (
    egress_group text,
    minute timestamptz,
    answers integer NOT NULL,
    PRIMARY KEY (egress_group, minute)
)
"""

DOWN = """
DROP TABLE egress_invalid;

ALTER TABLE egress_groups
    DROP COLUMN guesses,
    DROP COLUMN guessed_at,
    ADD COLUMN invalid_from timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN invalid integer NOT NULL DEFAULT 0;

ALTER TABLE executions RENAME COLUMN has_waited TO has_slot;

ALTER TABLE destinations
    ALTER COLUMN window_from SET DEFAULT '-infinity',
    ALTER COLUMN blocked_until SET DEFAULT '-infinity',
    ALTER COLUMN failed_at SET DEFAULT '-infinity',
    DROP COLUMN next_slot_at,
    DROP COLUMN broken_until,
    DROP COLUMN guesses,
    DROP COLUMN guessed_at,
    DROP COLUMN version;

ALTER TABLE destinations RENAME COLUMN window_from TO slots_from;

ALTER TABLE destinations RENAME COLUMN window_used TO slots_used
"""


def upgrade() -> None:
    """Windows that were reckoned ahead are over soon, and slots that were given make nobody begin too early."""
    for statement in UP.split(";"):
        op.execute(statement)


def downgrade() -> None:
    """Who has waited has a slot then."""
    for statement in DOWN.split(";"):
        op.execute(statement)
