"""What the dashboard shows, from the rows that tell it."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tocsin_api.stats import MAX_SAMPLE, stats

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW = {"as_of": NOON, "waiting": 0, "failed_executions": 0, "next_due": None}
NOTHING = {"executions": 0, "percentiles": None}


def by_state(**executions: int) -> list[dict[str, Any]]:
    return [{"state": state, "executions": number} for state, number in executions.items()]


def test_where_nothing_is_all_counts_are_zero_and_all_else_is_null() -> None:
    shown = msgspec.to_builtins(stats(NOW, [], [], NOTHING))

    states = ("due", "waiting", "running", "succeeded", "failed", "missed", "skipped", "expired", "cancelled")
    assert shown == {
        "total": 0,
        "active": 0,
        "inactive": 0,
        "failed": 0,
        "executionsToday": dict.fromkeys(states, 0),
        "successRate": None,
        "lateness": {"p50Ms": None, "p99Ms": None, "executions": 0, "isSample": False},
        "waiting": 0,
        "failedExecutions": 0,
        "nextDue": None,
        "asOf": "2026-01-31T12:00:00Z",
    }


def test_deleted_tasks_do_not_count() -> None:
    tasks = [
        {"status": status, "tasks": number} for status, number in (("ACTIVE", 5), ("FAILED", 2), ("DELETED", 9))
    ]

    shown = stats(NOW, tasks, [], NOTHING)

    assert (shown.total, shown.active, shown.inactive, shown.failed) == (7, 5, 0, 2)


@pytest.mark.parametrize(
    ("executions", "rate"),
    [
        ({"succeeded": 3, "failed": 1}, 0.75),
        ({"succeeded": 2, "failed": 1}, 0.6667),
        ({"succeeded": 5}, 1.0),
        ({"failed": 5}, 0.0),
        ({"succeeded": 1, "missed": 7, "waiting": 3, "cancelled": 2}, 1.0),
        ({"missed": 7, "waiting": 3}, None),
    ],
)
def test_success_rate_is_of_what_succeeded_or_failed(executions: dict[str, int], rate: float | None) -> None:
    assert stats(NOW, [], by_state(**executions), NOTHING).success_rate == rate


@pytest.mark.parametrize(("executions", "is_sample"), [(1, False), (MAX_SAMPLE - 1, False), (MAX_SAMPLE, True)])
def test_lateness_says_whether_it_is_of_a_sample(executions: int, is_sample: bool) -> None:
    lateness = stats(NOW, [], [], {"executions": executions, "percentiles": [8.5, 90.0]}).lateness

    assert (lateness.p50_ms, lateness.p99_ms, lateness.executions) == (8.5, 90.0, executions)
    assert lateness.is_sample is is_sample
