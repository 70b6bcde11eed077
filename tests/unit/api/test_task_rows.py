"""A task's row: from a request, and to an answer."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import Raw

from tocsin_api.task_fields import NewTask, TaskChange
from tocsin_api.task_rows import columns, shown
from tocsin_common import tables

AT = datetime(2030, 1, 31, 9, tzinfo=UTC)


def test_new_task_decides_every_column_but_those_of_its_url() -> None:
    new = NewTask(name="x", schedule="@daily", webhook_url="https://x", payload=Raw(b'{"a":1}'))

    assert columns(new) == {
        "name": "x",
        "schedule": "@daily",
        "timezone": "UTC",
        "run_at": None,
        "starts_at": None,
        "ends_at": None,
        "payload": Raw(b'{"a":1}'),
        "max_retry": 3,
        "jitter_s": 0,
        "catch_up": "latest",
        "expires_after_s": None,
        "overlap": "allow",
        "status": "ACTIVE",
    }
    assert columns(new).keys() < set(tables.tasks.columns.keys())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (TaskChange(), {}),
        (TaskChange(name="x"), {"name": "x"}),
        (TaskChange(webhook_url="https://x"), {}),
        (TaskChange(ends_at=None), {"ends_at": None}),
        (TaskChange(expires_after_seconds=None, jitter_seconds=5), {"expires_after_s": None, "jitter_s": 5}),
        (TaskChange(schedule="@daily"), {"schedule": "@daily", "run_at": None}),
        (TaskChange(run_at=AT), {"run_at": AT, "schedule": None}),
        (TaskChange(schedule=None, run_at=AT), {"run_at": AT, "schedule": None}),
    ],
)
def test_change_decides_what_it_names_and_what_that_replaces(change: TaskChange, expected: dict[str, Any]) -> None:
    assert columns(change) == expected


def test_row_is_shown_by_the_names_of_the_fields() -> None:
    row = {
        **dict.fromkeys(tables.tasks.columns.keys()),
        "id": UUID(int=1),
        "name": "x",
        "timezone": "UTC",
        "run_at": AT,
        "webhook_url_masked": "https://…x",
        "payload": '{"b":1.50}',
        "max_retry": 3,
        "jitter_s": 5,
        "catch_up": "all",
        "expires_after_s": 60,
        "overlap": "skip",
        "status": "INACTIVE",
        "status_reason": "its one run ended: succeeded",
        "created_at": AT,
        "updated_at": AT,
    }

    answer = msgspec.json.decode(msgspec.json.encode(shown(row)))

    assert (answer["jitterSeconds"], answer["catchUp"], answer["expiresAfterSeconds"]) == (5, "all", 60)
    assert (answer["schedule"], answer["runAt"]) == (None, "2030-01-31T09:00:00Z")
    assert (answer["webhookUrl"], answer["overlap"]) == ("https://…x", "skip")
    assert answer["statusReason"] == "its one run ended: succeeded"
    assert bytes(shown(row).payload) == b'{"b":1.50}'
