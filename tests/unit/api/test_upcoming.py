"""When a task runs next."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tocsin_api.upcoming import next_runs

NOW = datetime(2026, 1, 31, 12, 0, 30, tzinfo=UTC)
TASK = {
    "status": "ACTIVE",
    "schedule": "* * * * *",
    "timezone": "UTC",
    "run_at": None,
    "starts_at": None,
    "ends_at": None,
}


def minutes(*numbers: int) -> list[datetime]:
    return [datetime(2026, 1, 31, 12, tzinfo=UTC) + timedelta(minutes=n) for n in numbers]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, minutes(1, 2, 3, 4, 5)),
        ({"timezone": "Asia/Tokyo", "schedule": "5 21 * * *"}, [minutes(5 + 1440 * n)[0] for n in range(5)]),
        ({"starts_at": minutes(-60)[0]}, minutes(1, 2, 3, 4, 5)),
        ({"starts_at": minutes(10)[0]}, minutes(10, 11, 12, 13, 14)),
        ({"ends_at": minutes(2)[0]}, minutes(1, 2)),
        ({"starts_at": minutes(-9)[0], "ends_at": minutes(-2)[0]}, []),
        ({"schedule": None, "run_at": minutes(7)[0]}, minutes(7)),
        ({"schedule": None, "run_at": minutes(-7)[0]}, []),
        ({"schedule": "@reboot"}, []),
        ({"schedule": "0 0 30 2 *"}, []),
        ({"status": "INACTIVE"}, []),
        ({"status": "FAILED"}, []),
        ({"status": "INACTIVE", "schedule": None, "run_at": minutes(7)[0]}, []),
    ],
)
def test_next_runs_are_what_the_task_owes_from_now_on(change: dict[str, Any], expected: list[datetime]) -> None:
    assert next_runs({**TASK, **change}, NOW) == expected
