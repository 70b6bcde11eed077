"""More ways to say when a task runs, a global pause, manual executions, and what a new leader must know."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# `schedule` is null where `run_at`, a one-off instant, stands instead of it.
TABLES = """
ALTER TABLE tasks
    ALTER COLUMN schedule DROP NOT NULL,
    ADD COLUMN run_at timestamptz,
    ADD COLUMN starts_at timestamptz,
    ADD COLUMN ends_at timestamptz,
    ADD COLUMN jitter_s integer NOT NULL DEFAULT 0,
    ADD COLUMN catch_up text NOT NULL DEFAULT 'latest'
        CONSTRAINT catch_up_known CHECK (catch_up IN ('latest', 'all', 'skip')),
    ADD COLUMN expires_after_s integer,
    ADD COLUMN overlap text NOT NULL DEFAULT 'allow'
        CONSTRAINT overlap_known CHECK (overlap IN ('allow', 'skip')),
    ADD CONSTRAINT schedule_or_run_at CHECK ((schedule IS NULL) <> (run_at IS NULL));
CREATE INDEX tasks_run_at ON tasks (run_at) WHERE status = 'ACTIVE' AND run_at IS NOT NULL;

ALTER TABLE task_revisions
    ALTER COLUMN schedule DROP NOT NULL,
    ADD COLUMN run_at timestamptz,
    ADD COLUMN starts_at timestamptz,
    ADD COLUMN ends_at timestamptz,
    ADD COLUMN jitter_s integer NOT NULL DEFAULT 0,
    ADD COLUMN catch_up text NOT NULL DEFAULT 'latest'
        CONSTRAINT catch_up_known CHECK (catch_up IN ('latest', 'all', 'skip'));

CREATE TABLE scheduler_pause (
    id boolean PRIMARY KEY DEFAULT true CONSTRAINT one_row CHECK (id),
    paused_at timestamptz
);
INSERT INTO scheduler_pause DEFAULT VALUES;

CREATE TABLE idempotency_keys (
    scope text,
    key text,
    request_hash bytea NOT NULL,
    task_id uuid NOT NULL,
    scheduled_for timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

ALTER TABLE scheduler_lease
    ADD COLUMN database_id text,
    ADD COLUMN reboot_at timestamptz,
    ADD COLUMN tasks integer NOT NULL DEFAULT 0,
    ADD COLUMN schedules integer NOT NULL DEFAULT 0;

ALTER TABLE executions ADD COLUMN jitter_ms integer NOT NULL DEFAULT 0;
"""

# A task that was edited to another URL meanwhile, or stopped by its user, is left alone.
FAIL_TASKS = """
CREATE OR REPLACE FUNCTION fail_tasks(ids uuid[], url_hashes bytea[], reasons text[]) RETURNS SETOF uuid
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
    INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, destination,
                                run_at, starts_at, ends_at, jitter_s, catch_up)
    SELECT id, revision, effective_from, status, schedule, timezone, destination,
           run_at, starts_at, ends_at, jitter_s, catch_up
    FROM failed
    RETURNING task_id
$$;
"""

# What the dispatcher calls once the one execution of a one-off task has ended. A task that was given another
# instant meanwhile, or stopped by its user, is left alone.
FINISH_TASKS = """
CREATE FUNCTION finish_tasks(ids uuid[], run_ats timestamptz[], reasons text[]) RETURNS SETOF uuid
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH locked AS (
        SELECT t.id, w.reason FROM tasks t JOIN unnest(ids, run_ats, reasons) AS w (id, run_at, reason) USING (id)
        WHERE t.status = 'ACTIVE' AND t.run_at = w.run_at
        ORDER BY t.id FOR UPDATE OF t
    ), finished AS (
        UPDATE tasks t
        SET status = 'INACTIVE', status_reason = l.reason, revision = t.revision + 1,
            effective_from = GREATEST(clock_timestamp(), t.effective_from + interval '1 microsecond'),
            updated_at = clock_timestamp()
        FROM locked l WHERE t.id = l.id
        RETURNING t.*
    )
    INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, destination,
                                run_at, starts_at, ends_at, jitter_s, catch_up)
    SELECT id, revision, effective_from, status, schedule, timezone, destination,
           run_at, starts_at, ends_at, jitter_s, catch_up
    FROM finished
    RETURNING task_id
$$;
"""

# What the api calls for an execution that somebody asked for. Never on a whole second: there a schedule's own
# execution of the same task may be owed, and it would find its place taken.
ADD_MANUAL_EXECUTION = """
CREATE FUNCTION add_manual_execution(task uuid, for_destination text, give_up_after interval) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    LOOP
        IF moment = date_trunc('second', moment) THEN
            moment := moment + interval '1 microsecond';
        END IF;
        INSERT INTO executions (scheduled_for, task_id, kind, destination, next_at, give_up_at)
        VALUES (moment, task, 'manual', for_destination, moment, moment + give_up_after)
        ON CONFLICT DO NOTHING;
        IF FOUND THEN
            RETURN moment;
        END IF;
        moment := moment + interval '1 microsecond';
    END LOOP;
END
$$;
"""

DROP = """
DROP FUNCTION add_manual_execution(uuid, text, interval);
DROP FUNCTION finish_tasks(uuid[], timestamptz[], text[]);
ALTER TABLE executions DROP COLUMN jitter_ms;
ALTER TABLE scheduler_lease
    DROP COLUMN database_id, DROP COLUMN reboot_at, DROP COLUMN tasks, DROP COLUMN schedules;
DROP TABLE idempotency_keys, scheduler_pause;
DELETE FROM task_revisions WHERE schedule IS NULL;
DELETE FROM tasks WHERE schedule IS NULL;
ALTER TABLE task_revisions
    ALTER COLUMN schedule SET NOT NULL,
    DROP COLUMN run_at, DROP COLUMN starts_at, DROP COLUMN ends_at, DROP COLUMN jitter_s, DROP COLUMN catch_up;
ALTER TABLE tasks
    DROP CONSTRAINT schedule_or_run_at,
    ALTER COLUMN schedule SET NOT NULL,
    DROP COLUMN run_at, DROP COLUMN starts_at, DROP COLUMN ends_at, DROP COLUMN jitter_s, DROP COLUMN catch_up,
    DROP COLUMN expires_after_s, DROP COLUMN overlap;
"""

FAIL_TASKS_BEFORE = """
CREATE OR REPLACE FUNCTION fail_tasks(ids uuid[], url_hashes bytea[], reasons text[]) RETURNS SETOF uuid
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


def upgrade() -> None:
    """Add what is new; what is there keeps its meaning."""
    for statement in _statements(TABLES):
        op.execute(statement)
    for function in (FAIL_TASKS, FINISH_TASKS, ADD_MANUAL_EXECUTION):
        op.execute(function)


def downgrade() -> None:
    """Take it away, and with it the tasks that only it can describe."""
    op.execute(FAIL_TASKS_BEFORE)
    for statement in _statements(DROP):
        op.execute(statement)


def _statements(script: str) -> list[str]:
    """asyncpg takes one prepared statement at a time."""
    return [statement for statement in script.split(";") if statement.strip()]
