"""PURE. What each service may do in the database as a user of its own, and the statements that see to it.

The schema's owner migrates; nobody else makes, changes or drops anything. What a service changes of another's
tables it changes by a function with a name, which acts with the owner's rights.
"""

from collections.abc import Collection, Iterator

OWNER = "tocsin_owner"
API, SCHEDULER, SENDER = "tocsin_api", "tocsin_scheduler", "tocsin_sender"

RIGHTS = {
    API: (
        "SELECT, INSERT, UPDATE ON tasks",
        "INSERT ON task_revisions",
        "SELECT, UPDATE ON scheduler_pause",
        "SELECT, INSERT, UPDATE, DELETE ON idempotency_keys, api_keys",
        "SELECT ON scheduler_lease, executions, task_logs, task_state, alembic_version",
        "EXECUTE ON FUNCTION add_manual_execution, judge_replays, replay_executions",
    ),
    SCHEDULER: (
        # Neither URLs nor payloads.
        "SELECT (id, schedule, timezone, destination, status, revision, effective_from,"
        " run_at, starts_at, ends_at, jitter_s, catch_up, updated_at) ON tasks",
        "SELECT ON task_revisions, scheduler_pause, alembic_version",
        "SELECT, UPDATE ON scheduler_lease",
        "SELECT, INSERT, UPDATE, DELETE ON executions",
        # What is left of deleted tasks. To delete rows that it has locked takes UPDATE.
        "SELECT (task_id, scheduled_for, created_at), UPDATE, DELETE ON task_logs",
        "SELECT (task_id), DELETE ON task_state",
        "EXECUTE ON FUNCTION finish_tasks, disown_revisions, forget_tasks, make_partitions, drop_partitions",
    ),
    SENDER: (
        "SELECT (id, webhook_url_sealed, webhook_url_hash, destination, payload, max_retry,"
        " status, effective_from, expires_after_s, overlap) ON tasks",
        "SELECT ON alembic_version",
        "SELECT, UPDATE ON executions",
        "INSERT ON task_logs",
        "SELECT, INSERT, UPDATE ON task_state, destinations, egress_groups",
        "SELECT, INSERT, UPDATE, DELETE ON egress_invalid",
        "EXECUTE ON FUNCTION fail_tasks, first_under_way",
    ),
}
"""By user: all that a GRANT says but its end."""


def functions() -> list[str]:
    """The functions that somebody may call."""
    marker = "EXECUTE ON FUNCTION "
    lines = [line.removeprefix(marker) for lines in RIGHTS.values() for line in lines if line.startswith(marker)]
    return sorted({name for line in lines for name in line.split(", ")})


def grants(present: Collection[str], tables: Collection[str], schema: str) -> Iterator[str]:
    """Statements after which the users who are `present` may do this and no more, whatever they might before."""
    all_functions, all_tables = ", ".join(functions()), ", ".join(sorted(tables))
    yield f"REVOKE ALL ON FUNCTION {all_functions} FROM PUBLIC"
    for user, rights in RIGHTS.items():
        if user not in present:
            continue
        yield f"REVOKE ALL ON {all_tables} FROM {user}"
        yield f"REVOKE ALL ON FUNCTION {all_functions} FROM {user}"
        yield f"GRANT USAGE ON SCHEMA {schema} TO {user}"
        for right in rights:
            yield f"GRANT {right} TO {user}"
