"""A task with what becomes of it: its latest attempts, its next runs, last execution, failures in a row."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from integration.api.owed import NOON, add_execution, add_log, make_partitions
from integration.api.serving import task_body
from tocsin_api import task_details

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module", autouse=True)
async def partitions(shared_database: asyncpg.Connection) -> None:
    """Where executions of any day go."""
    await make_partitions(shared_database)


@pytest.fixture
def client(shared_client: httpx.AsyncClient) -> httpx.AsyncClient:
    """One database is enough: each test makes its own task."""
    return shared_client


@pytest.fixture
def database(shared_database: asyncpg.Connection) -> asyncpg.Connection:
    return shared_database


async def details(client: httpx.AsyncClient, task: dict[str, Any], query: str = "") -> dict[str, Any]:
    answer = await client.get(f"/api/tasks/{task['id']}{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def set_state(
    database: asyncpg.Connection, task: dict[str, Any], failures: int, scheduled_for: datetime
) -> None:
    await database.execute(
        "INSERT INTO task_state (task_id, failures_in_row, last_outcome, last_scheduled_for)"
        " VALUES ($1, $2, 'permanent', $3)",
        UUID(task["id"]),
        failures,
        scheduled_for,
    )


async def test_task_that_never_ran_shows_what_comes(client: httpx.AsyncClient) -> None:
    task = (await client.post("/api/tasks", json={**task_body(), "schedule": "0 0 1 1 *"})).json()

    found = await details(client, task)

    assert list(found) == [*task, "failuresInRow", "nextRuns", "lastExecution", "logs"]
    assert (found["failuresInRow"], found["lastExecution"], found["logs"]) == (0, None, [])
    years = [datetime.fromisoformat(run).year for run in found["nextRuns"]]
    assert years == list(range(datetime.now(UTC).year + 1, datetime.now(UTC).year + 6))
    assert all(run.endswith("-01-01T00:00:00Z") for run in found["nextRuns"])


async def test_latest_attempts_come_first_and_are_twenty(
    client: httpx.AsyncClient, database: asyncpg.Connection, task: dict[str, Any]
) -> None:
    other = (await client.post("/api/tasks", json=task_body())).json()
    for n in range(25):
        await add_log(database, task["id"], NOON + n * HOUR, "SUCCESS")
    await add_log(database, other["id"], NOON, "FAILED")

    found = await details(client, task)

    listed = (await client.get(f"/api/tasks/{task['id']}/logs?limit=20")).json()["data"]
    assert found["logs"] == listed
    assert len(listed) == 20


async def test_last_execution_is_the_one_with_the_latest_instant(
    client: httpx.AsyncClient, database: asyncpg.Connection, task: dict[str, Any]
) -> None:
    await add_execution(database, task["id"], NOON, state="succeeded", reason=None)
    await add_execution(database, task["id"], NOON + HOUR)
    await add_log(database, task["id"], NOON + HOUR, "FAILED")
    await add_execution(database, task["id"], NOON - HOUR)

    found = await details(client, task)

    [newest, *_] = (await client.get(f"/api/executions?taskId={task['id']}")).json()["data"]
    assert found["lastExecution"] == newest
    assert newest["scheduledFor"] == "2026-01-31T13:00:00Z"
    assert (newest["attempts"], newest["latenessMs"]) == (1, 0)


@pytest.mark.parametrize(
    ("status", "hours_ago", "shown"),
    [("ACTIVE", -1, 3), ("ACTIVE", 1, 0), ("FAILED", 1, 3), ("INACTIVE", 1, 3)],
)
async def test_failures_in_a_row_begin_anew_when_the_task_is_started(
    client: httpx.AsyncClient,
    database: asyncpg.Connection,
    task: dict[str, Any],
    status: str,
    hours_ago: int,
    shown: int,
) -> None:
    await database.execute("UPDATE tasks SET status = $2 WHERE id = $1", UUID(task["id"]), status)
    await set_state(database, task, 3, datetime.fromisoformat(task["createdAt"]) - hours_ago * HOUR)

    assert (await details(client, task))["failuresInRow"] == shown


@pytest.mark.parametrize("name", task_details.FIELDS)
async def test_each_field_can_be_asked_for_alone(
    client: httpx.AsyncClient, task: dict[str, Any], name: str
) -> None:
    found = await details(client, task, f"?fields={name}")

    assert list(found) == [name]
    if name != "nextRuns":
        assert found[name] == (await details(client, task))[name]


async def test_fields_come_in_one_order_and_once(client: httpx.AsyncClient, task: dict[str, Any]) -> None:
    found = await details(client, task, "?fields=status,name,status")

    assert list(found) == ["name", "status"]


async def test_what_is_not_asked_for_is_not_looked_up(
    client: httpx.AsyncClient, database: asyncpg.Connection, task: dict[str, Any]
) -> None:
    await database.execute("BEGIN; LOCK executions, task_logs, task_state")
    try:
        found = await details(client, task, f"?fields={','.join(task)},nextRuns")
    finally:
        await database.execute("ROLLBACK")

    assert task.items() <= found.items()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("fields=", "'' is not known; allowed are id, name, "),
        ("fields=name,", "'' is not known; allowed are id, name, "),
        ("fields=next_runs", "'next_runs' is not known; near is nextRuns; allowed are id, name, "),
        ("fields=name,statsu", "'statsu' is not known; near is status; allowed are id, name, "),
        ("fields=webhook_url_sealed", "a longer text is not known; "),
        ("field=name", "is not known; near is fields; allowed are fields"),
    ],
)
async def test_field_that_is_not_known_is_refused_with_the_nearest(
    client: httpx.AsyncClient, shared_task: dict[str, Any], query: str, message: str
) -> None:
    answer = await client.get(f"/api/tasks/{shared_task['id']}?{query}")

    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["message"].startswith(message)
