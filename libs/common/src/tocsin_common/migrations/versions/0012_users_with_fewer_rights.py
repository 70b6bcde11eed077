"""What lets each service connect as a user of its own that may do nothing but what it needs."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# What the scheduler calls: only who owns a table may make and drop its partitions, and an owner may do anything
# with it. ATTACH, not CREATE … PARTITION OF: that would wait behind every reader and block inserts.
# The first number is also locked while rights are granted, for both change the row that describes a table.
MAKE_PARTITIONS = """
CREATE FUNCTION make_partitions(day date) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '2s' AS $$
DECLARE
    parent text;
    name text;
BEGIN
    IF day > (clock_timestamp() AT TIME ZONE 'UTC')::date + 400 THEN
        RAISE EXCEPTION 'partitions of % are not made yet', day;
    END IF;
    PERFORM pg_advisory_xact_lock(x'746F6373696F'::bigint);
    FOREACH parent IN ARRAY ARRAY['executions', 'task_logs'] LOOP
        name := parent || to_char(day, '_YYYYMMDD');
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_inherits WHERE inhparent = parent::regclass AND inhrelid = to_regclass(name)
        );
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name, parent);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, name,
                       day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        RETURN NEXT name;
    END LOOP;
END
$$
"""

# Both at once, so that no logs are without their executions, and only where all of these have ended: else one null
# comes back. Until a statement that reads the tables has ended a drop waits, and everything else behind it: so it
# waits for 0.1 s and is tried again later. DETACH … CONCURRENTLY would keep nobody waiting, but no function may do
# it.
DROP_PARTITIONS = """
CREATE FUNCTION drop_partitions(day date) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '100ms' AS $$
DECLARE
    parent text;
    name text;
BEGIN
    IF day > (clock_timestamp() AT TIME ZONE 'UTC')::date - 3 THEN
        RAISE EXCEPTION 'partitions of % are not dropped yet', day;
    END IF;
    PERFORM pg_advisory_xact_lock(x'746F6373696F'::bigint);
    IF EXISTS (
        SELECT FROM executions
        WHERE scheduled_for >= day::timestamp AT TIME ZONE 'UTC'
          AND scheduled_for < (day + 1)::timestamp AT TIME ZONE 'UTC' AND state IN ('due', 'waiting', 'running')
    ) THEN
        RETURN NEXT NULL;
        RETURN;
    END IF;
    FOREACH parent IN ARRAY ARRAY['executions', 'task_logs'] LOOP
        name := parent || to_char(day, '_YYYYMMDD');
        CONTINUE WHEN NOT EXISTS (
            SELECT FROM pg_inherits WHERE inhparent = parent::regclass AND inhrelid = to_regclass(name)
        );
        EXECUTE format('DROP TABLE %I', name);
        RETURN NEXT name;
    END LOOP;
END
$$
"""

# What acts with its owner's rights must not find a caller's own temporary table where it looks for one of ours:
# unless it is named, pg_temp comes first.
LOOK_IN = """
DO $$
DECLARE
    called regprocedure;
BEGIN
    FOR called IN SELECT oid FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND prosecdef LOOP
        EXECUTE format('ALTER FUNCTION %%s SET search_path = %s', called);
    END LOOP;
END
$$
"""


def upgrade() -> None:
    """Add it; schedulers of the release before go on as the tables' owner."""
    for function in (MAKE_PARTITIONS, DROP_PARTITIONS):
        op.execute(function)
    _look_in("' || quote_ident(current_schema()) || ', pg_temp")


def downgrade() -> None:
    """Take it away."""
    op.execute("DROP FUNCTION make_partitions(date)")
    op.execute("DROP FUNCTION drop_partitions(date)")
    _look_in("' || quote_ident(current_schema()) || '")


def _look_in(schemas: str) -> None:
    op.execute(LOOK_IN % schemas)
