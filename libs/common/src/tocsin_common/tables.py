"""ADAPTER. The tables. Alembic migrates them; the services' statements themselves are plain SQL on asyncpg.

Owned by the api: `tasks`, `task_revisions`, `scheduler_pause`, `idempotency_keys`, `api_keys`. Owned by the
dispatcher: the others. There are no foreign keys between the two: a cascading delete would deadlock with claims,
so a delete is a status.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSON, TIMESTAMP, UUID
from sqlalchemy.types import UserDefinedType

TASK_STATUSES = ("ACTIVE", "INACTIVE", "FAILED", "DELETED")
EXECUTION_KINDS = ("schedule", "manual", "reboot", "once")
OPEN_STATES = ("due", "waiting", "running")
TERMINAL_STATES = ("succeeded", "failed", "missed", "skipped", "expired", "cancelled")
OUTCOMES = ("succeeded", "retryable", "permanent", "gone", "limited")
CATCH_UP_POLICIES = ("latest", "all", "skip")
OVERLAP_POLICIES = ("allow", "skip")
LOG_STATUSES = ("SUCCESS", "FAILED", "RETRYING")


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name in DDL."""
        return "xid8"


metadata = sa.MetaData()
_extension = sa.DDL("CREATE EXTENSION IF NOT EXISTS pg_trgm")  # type: ignore[no-untyped-call]  # SQLAlchemy's
sa.event.listen(metadata, "before_create", _extension)

_timestamp = TIMESTAMP(timezone=True)
_now = sa.text("clock_timestamp()")


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("id", UUID, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("schedule", sa.Text),
    sa.Column("timezone", sa.Text, nullable=False, server_default="UTC"),
    sa.Column("webhook_url_sealed", sa.LargeBinary, nullable=False),
    sa.Column("webhook_url_hash", sa.LargeBinary, nullable=False),
    sa.Column("webhook_url_masked", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("payload", JSON, nullable=False),
    sa.Column("max_retry", sa.SmallInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_reason", sa.Text),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("effective_from", _timestamp, nullable=False),
    sa.Column("created_at", _timestamp, nullable=False),
    sa.Column("updated_at", _timestamp, nullable=False),
    sa.Column("run_at", _timestamp),
    sa.Column("starts_at", _timestamp),
    sa.Column("ends_at", _timestamp),
    sa.Column("jitter_s", sa.Integer, nullable=False, server_default="0"),
    sa.Column("catch_up", sa.Text, nullable=False, server_default="latest"),
    sa.Column("expires_after_s", sa.Integer),
    sa.Column("overlap", sa.Text, nullable=False, server_default="allow"),
    _one_of("status", TASK_STATUSES),
    _one_of("catch_up", CATCH_UP_POLICIES),
    _one_of("overlap", OVERLAP_POLICIES),
    sa.CheckConstraint("(schedule IS NULL) <> (run_at IS NULL)", name="schedule_or_run_at"),
    sa.CheckConstraint("max_retry BETWEEN 0 AND 10", name="max_retry_range"),
    sa.Index("tasks_created_at", "created_at", "id"),
    sa.Index("tasks_updated_at", "updated_at", "id"),
    sa.Index("tasks_by_name", "name", "id"),
    sa.Index("tasks_status", "status", "created_at", "id"),
    sa.Index(
        "tasks_name",
        "name",
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
        postgresql_with={"fastupdate": "off"},
    ),
    sa.Index("tasks_webhook_url_hash", "webhook_url_hash"),
    sa.Index("tasks_deleted", "updated_at", "id", postgresql_where=sa.text("status = 'DELETED'")),
    sa.Index("tasks_run_at", "run_at", postgresql_where=sa.text("status = 'ACTIVE' AND run_at IS NOT NULL")),
)

# Append-only: what the scheduler follows. `xid` lets a reader see late commits (`xid >= X`).
task_revisions = sa.Table(
    "task_revisions",
    metadata,
    sa.Column("task_id", UUID, primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("effective_from", _timestamp, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("schedule", sa.Text),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("xid", Xid8, nullable=False, server_default=sa.text("pg_current_xact_id()")),
    sa.Column("run_at", _timestamp),
    sa.Column("starts_at", _timestamp),
    sa.Column("ends_at", _timestamp),
    sa.Column("jitter_s", sa.Integer, nullable=False, server_default="0"),
    sa.Column("catch_up", sa.Text, nullable=False, server_default="latest"),
    _one_of("status", TASK_STATUSES),
    _one_of("catch_up", CATCH_UP_POLICIES),
    sa.Index("task_revisions_xid", "xid"),
)

# One row: since when nothing is emitted, by its user's wish; null: never.
scheduler_pause = sa.Table(
    "scheduler_pause",
    metadata,
    sa.Column("id", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("paused_at", _timestamp),
    sa.CheckConstraint("id", name="one_row"),
)

# What a request with an Idempotency-Key made, so that the same request answers the same.
idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("request_hash", sa.LargeBinary, nullable=False),
    sa.Column("task_id", UUID, nullable=False),
    sa.Column("scheduled_for", _timestamp),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Index("idempotency_keys_created_at", "created_at"),
)

# Who may use the API, besides whoever has the key of API_KEY. Of a key its digest is kept, and how it is shown.
api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", UUID, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("key_hash", sa.LargeBinary, nullable=False),
    sa.Column("hint", sa.Text, nullable=False),
    sa.Column("scopes", ARRAY(sa.Text), nullable=False),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("expires_at", _timestamp),
    sa.Column("last_used_at", _timestamp),
    sa.UniqueConstraint("key_hash", name="api_keys_key_hash"),
    sa.CheckConstraint(
        "cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'write', 'admin']", name="scopes_known"
    ),
)

# One row: who leads, and how far everything owed has its row. `gap_until`: what is owed between the watermark and
# then is being caught up with, and whoever leads next decides on it as of the same instant, and on the tasks as
# `gap_snapshot` shows them: a database and its transactions. `feed_xid` is of the database that `database_id`
# names, and of no copy of it; of what has it or a later one, `feed_snapshot` says what is settled all the same.
# `reboot_at`: when scheduling last started anew. `next_due_at`: when a schedule comes next, for people to see.
scheduler_lease = sa.Table(
    "scheduler_lease",
    metadata,
    sa.Column("id", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("holder", sa.Text),
    sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("expires_at", _timestamp, nullable=False, server_default="-infinity"),
    sa.Column("watermark", _timestamp, nullable=False, server_default=_now),
    sa.Column("feed_xid", Xid8, nullable=False, server_default="0"),
    sa.Column("gap_until", _timestamp),
    sa.Column("gap_snapshot", sa.Text),
    sa.Column("database_id", sa.Text),
    sa.Column("reboot_at", _timestamp),
    sa.Column("tasks", sa.Integer, nullable=False, server_default="0"),
    sa.Column("schedules", sa.Integer, nullable=False, server_default="0"),
    sa.Column("feed_snapshot", sa.Text),
    sa.Column("next_due_at", _timestamp),
    sa.CheckConstraint("id", name="one_row"),
)

# Partitioned by day. `next_at` of a due or waiting row: from when it may be claimed; of a running row: the
# deadline of its claim. So "may be claimed now" is one comparison for all three. A missed row stands for all
# instants of its task from `missed_from` to its own; `missed_count` is null where they are too many to count.
# `replayed_at`: when somebody last brought it back after it had failed.
# `has_waited`: it found no room before, so it goes before those that come new.
executions = sa.Table(
    "executions",
    metadata,
    sa.Column("scheduled_for", _timestamp, primary_key=True),
    sa.Column("task_id", UUID, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, server_default="schedule"),
    sa.Column("state", sa.Text, nullable=False, server_default="due"),
    sa.Column("reason", sa.Text),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("next_at", _timestamp, nullable=False),
    sa.Column("give_up_at", _timestamp, nullable=False),
    sa.Column("seq", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failures", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("lost_claims", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("sweeps", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("claimed_by", sa.Text),
    sa.Column("missed_from", _timestamp),
    sa.Column("missed_count", sa.Integer),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("finished_at", _timestamp),
    sa.Column("jitter_ms", sa.Integer, nullable=False, server_default="0"),
    sa.Column("replayed_at", _timestamp),
    sa.Column("has_waited", sa.Boolean, nullable=False, server_default=sa.false()),
    _one_of("kind", EXECUTION_KINDS),
    _one_of("state", OPEN_STATES + TERMINAL_STATES),
    sa.Index("executions_task", "task_id", "scheduled_for"),
    sa.Index(
        "executions_under_way",
        "task_id",
        "scheduled_for",
        postgresql_where=sa.text("state IN ('waiting', 'running')"),
    ),
    sa.Index("executions_failed", "scheduled_for", "task_id", postgresql_where=sa.text("state = 'failed'")),
    sa.Index("executions_open", "next_at", postgresql_where=sa.text("state IN ('due', 'waiting', 'running')")),
    postgresql_partition_by="RANGE (scheduled_for)",
)

# One row an attempt, partitioned by the day of its execution's scheduled-for.
task_logs = sa.Table(
    "task_logs",
    metadata,
    sa.Column("scheduled_for", _timestamp, primary_key=True),
    sa.Column("task_id", UUID, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("execution_time", _timestamp, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("retry_count", sa.SmallInteger, nullable=False),
    sa.Column("http_status", sa.SmallInteger),
    sa.Column("ambiguous", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("duration_ms", sa.Integer, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("created_at", _timestamp, nullable=False, server_default=_now),
    _one_of("status", LOG_STATUSES),
    _one_of("outcome", OUTCOMES),
    sa.Index("task_logs_task", "task_id", "created_at"),
    sa.Index("task_logs_created_at", "created_at"),
    sa.Index(
        "task_logs_unsuccessful",
        "status",
        "created_at",
        postgresql_where=sa.text("status IN ('FAILED', 'RETRYING')"),
    ),
    postgresql_partition_by="RANGE (scheduled_for)",
)

task_state = sa.Table(
    "task_state",
    metadata,
    sa.Column("task_id", UUID, primary_key=True),
    sa.Column("failures_in_row", sa.Integer, nullable=False),
    sa.Column("last_outcome", sa.Text, nullable=False),
    sa.Column("last_scheduled_for", _timestamp, nullable=False),
    sa.Column("updated_at", _timestamp, nullable=False, server_default=_now),
    _one_of("last_outcome", OUTCOMES),
)

# What the senders learned about a destination. No row: nothing is known of it. Its limit is `window_limit` POSTs
# in `window_s`, by its headers; 0: they name none; null: not known. `window_used` POSTs began in the window that
# began at `window_from`; the queue of those that found no room ends at `next_slot_at`. `blocked_until`: by what it
# told; so many `guesses` in a row, the last one at `guessed_at`, it did not say for how long. `failures`: so many
# POSTs in a row got no answer or HTTP 5xx, the last one at `failed_at`; `broken_until` is the breaker's.
# `version`: of what is decided on, so that a decision made of an older one is noticed.
destinations = sa.Table(
    "destinations",
    metadata,
    sa.Column("destination", sa.Text, primary_key=True),
    sa.Column("blocked_until", _timestamp, nullable=False, server_default="epoch"),
    sa.Column("updated_at", _timestamp, nullable=False, server_default=_now),
    sa.Column("bucket", sa.Text),
    sa.Column("window_limit", sa.Integer),
    sa.Column("window_s", sa.Float),
    sa.Column("window_from", _timestamp, nullable=False, server_default="epoch"),
    sa.Column("window_used", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failed_at", _timestamp, nullable=False, server_default="epoch"),
    sa.Column("next_slot_at", _timestamp, nullable=False, server_default="epoch"),
    sa.Column("broken_until", _timestamp, nullable=False, server_default="epoch"),
    sa.Column("guesses", sa.Integer, nullable=False, server_default="0"),
    sa.Column("guessed_at", _timestamp, nullable=False, server_default="epoch"),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    sa.CheckConstraint("(window_limit IS NULL) = (window_s IS NULL)", name="window_known"),
)

# What Discord counts by address, for the senders that share one; the columns mean what they mean of destinations.
egress_groups = sa.Table(
    "egress_groups",
    metadata,
    sa.Column("egress_group", sa.Text, primary_key=True),
    sa.Column("window_from", _timestamp, nullable=False, server_default="epoch"),
    sa.Column("window_used", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_slot_at", _timestamp, nullable=False, server_default="epoch"),
    sa.Column("blocked_until", _timestamp, nullable=False, server_default="epoch"),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("guesses", sa.Integer, nullable=False, server_default="0"),
    sa.Column("guessed_at", _timestamp, nullable=False, server_default="epoch"),
)

# How many answers of each minute count towards Discord's budget of invalid ones.
egress_invalid = sa.Table(
    "egress_invalid",
    metadata,
    sa.Column("egress_group", sa.Text, primary_key=True),
    sa.Column("minute", _timestamp, primary_key=True),
    sa.Column("answers", sa.Integer, nullable=False),
)
