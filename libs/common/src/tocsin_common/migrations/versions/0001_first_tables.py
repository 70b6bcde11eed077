"""The first tables, and the one function through which the dispatcher changes the api's tasks."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE tasks (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    schedule text NOT NULL,
    timezone text NOT NULL DEFAULT 'UTC',
    webhook_url_sealed bytea NOT NULL,
    webhook_url_hash bytea NOT NULL,
    webhook_url_masked text NOT NULL,
    destination text NOT NULL,
    payload json NOT NULL,
    max_retry smallint NOT NULL CONSTRAINT max_retry_range CHECK (max_retry BETWEEN 0 AND 10),
    status text NOT NULL CONSTRAINT status_known CHECK (status IN ('ACTIVE', 'INACTIVE', 'FAILED', 'DELETED')),
    status_reason text,
    revision bigint NOT NULL,
    effective_from timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX tasks_created_at ON tasks (created_at, id);
CREATE INDEX tasks_webhook_url_hash ON tasks (webhook_url_hash);

CREATE TABLE task_revisions (
    task_id uuid,
    revision bigint,
    effective_from timestamptz NOT NULL,
    status text NOT NULL CONSTRAINT status_known CHECK (status IN ('ACTIVE', 'INACTIVE', 'FAILED', 'DELETED')),
    schedule text NOT NULL,
    timezone text NOT NULL,
    destination text NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (task_id, revision)
);
CREATE INDEX task_revisions_xid ON task_revisions (xid);

CREATE TABLE scheduler_lease (
    id boolean PRIMARY KEY DEFAULT true CONSTRAINT one_row CHECK (id),
    holder text,
    epoch bigint NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL DEFAULT '-infinity',
    watermark timestamptz NOT NULL DEFAULT clock_timestamp(),
    feed_xid xid8 NOT NULL DEFAULT '0',
    gap_until timestamptz
);
INSERT INTO scheduler_lease DEFAULT VALUES;

CREATE TABLE executions (
    scheduled_for timestamptz,
    task_id uuid,
    kind text NOT NULL DEFAULT 'schedule'
        CONSTRAINT kind_known CHECK (kind IN ('schedule', 'manual', 'reboot', 'once')),
    state text NOT NULL DEFAULT 'due'
        CONSTRAINT state_known CHECK (state IN ('due', 'waiting', 'running', 'succeeded', 'failed', 'missed',
                                                'skipped', 'expired', 'cancelled')),
    reason text,
    destination text NOT NULL,
    next_at timestamptz NOT NULL,
    give_up_at timestamptz NOT NULL,
    seq integer NOT NULL DEFAULT 0,
    failures smallint NOT NULL DEFAULT 0,
    lost_claims smallint NOT NULL DEFAULT 0,
    sweeps smallint NOT NULL DEFAULT 0,
    claimed_by text,
    missed_from timestamptz,
    missed_count integer,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    PRIMARY KEY (scheduled_for, task_id)
) PARTITION BY RANGE (scheduled_for);
CREATE INDEX executions_task ON executions (task_id, scheduled_for);
CREATE INDEX executions_open ON executions (next_at) WHERE state IN ('due', 'waiting', 'running');

CREATE TABLE task_logs (
    scheduled_for timestamptz,
    task_id uuid,
    seq integer,
    execution_time timestamptz NOT NULL,
    status text NOT NULL CONSTRAINT status_known CHECK (status IN ('SUCCESS', 'FAILED', 'RETRYING')),
    outcome text NOT NULL
        CONSTRAINT outcome_known CHECK (outcome IN ('succeeded', 'retryable', 'permanent', 'gone', 'limited')),
    retry_count smallint NOT NULL,
    http_status smallint,
    ambiguous boolean NOT NULL DEFAULT false,
    duration_ms integer NOT NULL,
    message text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (scheduled_for, task_id, seq)
) PARTITION BY RANGE (scheduled_for);
CREATE INDEX task_logs_task ON task_logs (task_id, created_at);
CREATE INDEX task_logs_created_at ON task_logs (created_at);

CREATE TABLE task_state (
    task_id uuid PRIMARY KEY,
    failures_in_row integer NOT NULL,
    last_outcome text NOT NULL CONSTRAINT last_outcome_known
        CHECK (last_outcome IN ('succeeded', 'retryable', 'permanent', 'gone', 'limited')),
    last_scheduled_for timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE destinations (
    destination text PRIMARY KEY,
    blocked_until timestamptz NOT NULL DEFAULT '-infinity',
    next_slot_at timestamptz NOT NULL DEFAULT '-infinity',
    spacing_s double precision NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""

# A task that was edited to another URL meanwhile, or stopped by its user, is left alone.
FAIL_TASKS = """
CREATE FUNCTION fail_tasks(ids uuid[], url_hashes bytea[], reasons text[]) RETURNS SETOF uuid
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH wanted AS (
        SELECT DISTINCT ON (id, url_hash) * FROM unnest(ids, url_hashes, reasons) AS w (id, url_hash, reason)
    ), locked AS (
        SELECT t.id, w.reason FROM tasks t JOIN wanted w USING (id)
        WHERE t.status = 'ACTIVE' AND t.webhook_url_hash = w.url_hash
        ORDER BY t.id FOR UPDATE OF t
    ), failed AS (
        UPDATE tasks t
        SET status = 'FAILED', status_reason = l.reason, revision = t.revision + 1,
            effective_from = GREATEST(clock_timestamp(), t.effective_from + interval '1 microsecond'),
            updated_at = clock_timestamp()
        FROM locked l WHERE t.id = l.id
        RETURNING t.*
    )
    INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, destination)
    SELECT id, revision, effective_from, status, schedule, timezone, destination FROM failed
    RETURNING task_id
$$;
"""

DROP = """
DROP FUNCTION fail_tasks(uuid[], bytea[], text[]);
DROP TABLE destinations, task_state, task_logs, executions, scheduler_lease, task_revisions, tasks;
"""


def upgrade() -> None:
    """Create everything."""
    for statement in _statements(TABLES):
        op.execute(statement)
    op.execute(FAIL_TASKS)


def downgrade() -> None:
    """Leave nothing."""
    for statement in _statements(DROP):
        op.execute(statement)


def _statements(script: str) -> list[str]:
    """asyncpg takes one prepared statement at a time."""
    return [statement for statement in script.split(";") if statement.strip()]
