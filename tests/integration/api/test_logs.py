"""The routes that show the task log."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from integration.api.serving import task_body
from tocsin_common.messages import log_id

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
MANY_LOGS = """
INSERT INTO task_logs (scheduled_for, task_id, seq, execution_time, status, outcome, retry_count, duration_ms,
                       message)
SELECT $1::timestamptz, $2, seq, $1, 'SUCCESS', 'succeeded', 0, 12, 'HTTP 204'
FROM generate_series($3::integer, $4::integer) AS seq
"""
STATUSES = ("RETRYING", "RETRYING", "SUCCESS", "FAILED")


async def add_task(client: httpx.AsyncClient) -> str:
    task_id: str = (await client.post("/api/tasks", json=task_body())).json()["id"]
    return task_id


async def add_logs(database: asyncpg.Connection, task_id: str, other_id: str) -> None:
    """Of the task an attempt a day before noon of the 31st, the newest first; of the other one just after noon."""
    await database.execute("CREATE TABLE all_logs PARTITION OF task_logs DEFAULT")
    for days, status in enumerate(STATUSES):
        await add_log(database, task_id, NOON - timedelta(days=days), status)
    await add_log(database, other_id, NOON + timedelta(microseconds=1), "SUCCESS")


@pytest.fixture(scope="module")
async def tasks(shared_client: httpx.AsyncClient, shared_database: asyncpg.Connection) -> tuple[str, str]:
    """Two tasks with those logs."""
    ids = (await add_task(shared_client), await add_task(shared_client))
    await add_logs(shared_database, *ids)
    return ids


async def add_log(database: asyncpg.Connection, task_id: str, at: datetime, status: str, seq: int = 1) -> None:
    await database.execute(
        """
        INSERT INTO task_logs (scheduled_for, task_id, seq, execution_time, status, outcome, retry_count,
                               duration_ms, message, created_at)
        VALUES ($1, $2, $3, $4, $5, 'succeeded', $6, 12, $7, $8)
        """,
        at - timedelta(seconds=2),
        UUID(task_id),
        seq,
        at - timedelta(seconds=1),
        status,
        seq - 1,
        f"answered with {status}",
        at,
    )


async def test_log_shows_one_attempt(shared_client: httpx.AsyncClient, tasks: tuple[str, str]) -> None:
    answer = await shared_client.get(f"/api/tasks/{tasks[1]}/logs")

    assert answer.status_code == 200
    assert answer.json() == {
        "data": [
            {
                "id": str(log_id(UUID(tasks[1]), NOON + timedelta(microseconds=1) - timedelta(seconds=2), 1)),
                "taskId": tasks[1],
                "executionTime": "2026-01-31T11:59:59.000001Z",
                "status": "SUCCESS",
                "retryCount": 0,
                "message": "answered with SUCCESS",
                "createdAt": "2026-01-31T12:00:00.000001Z",
            }
        ],
        "meta": {"page": 1, "limit": 20, "total": 1, "totalPages": 1},
    }


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("", [31, 30, 29, 28]),
        ("status=RETRYING", [31, 30]),
        ("status=FAILED", [28]),
        ("dateFrom=2026-01-30", [31, 30]),
        ("dateTo=2026-01-29", [29, 28]),
        ("dateFrom=2026-01-29&dateTo=2026-01-30", [30, 29]),
        ("dateFrom=2026-01-30&dateTo=2026-01-30", [30]),
        ("dateFrom=2026-01-30T12:00:00Z", [31, 30]),
        ("dateFrom=2026-01-30T12:00:00.000001Z", [31]),
        ("dateTo=2026-01-30T12:00:00Z", [30, 29, 28]),
        ("dateTo=2026-01-30T13:00:00%2B01:00", [30, 29, 28]),
        ("dateTo=2026-01-30T12:59:59%2B01:00", [29, 28]),
        ("limit=3", [31, 30, 29]),
        ("limit=3&page=2", [28]),
        ("sort=-createdAt", [31, 30, 29, 28]),
        ("sort=createdAt", [28, 29, 30, 31]),
        ("sort=createdAt&limit=3&page=2&dateTo=2026-01-31", [31]),
    ],
)
async def test_logs_of_a_task_are_filtered_and_newest_first(
    shared_client: httpx.AsyncClient, tasks: tuple[str, str], query: str, days: list[int]
) -> None:
    one = await shared_client.get(f"/api/tasks/{tasks[0]}/logs?{query}")
    all_ = await shared_client.get(f"/api/logs?taskId={tasks[0]}&{query}")

    assert [datetime.fromisoformat(log["createdAt"]).day for log in one.json()["data"]] == days
    assert one.json() == all_.json()


async def test_logs_of_all_tasks_are_newest_first(
    shared_client: httpx.AsyncClient, tasks: tuple[str, str]
) -> None:
    answer = await shared_client.get("/api/logs?limit=2")

    assert [log["taskId"] for log in answer.json()["data"]] == [tasks[1], tasks[0]]
    assert answer.json()["meta"] == {"page": 1, "limit": 2, "total": 5, "totalPages": 3}


async def test_logs_of_deleted_tasks_are_not_shown(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    deleted, other = await add_task(client), await add_task(client)
    await add_logs(database, deleted, other)

    await client.delete(f"/api/tasks/{deleted}")

    answer = await client.get("/api/logs")
    assert [log["taskId"] for log in answer.json()["data"]] == [other]
    assert answer.json()["meta"]["total"] == 1
    assert (await client.get(f"/api/tasks/{deleted}/logs")).status_code == 404
    assert (await client.get(f"/api/logs?taskId={deleted}")).json()["data"] == []


async def test_logs_of_an_unknown_task_are_an_empty_list(shared_client: httpx.AsyncClient) -> None:
    answer = await shared_client.get(f"/api/logs?taskId={uuid4()}")

    assert answer.json() == {"data": [], "meta": {"page": 1, "limit": 20, "total": 0, "totalPages": 0}}


async def test_total_is_exact_up_to_ten_thousand_and_then_an_estimate(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    task_id = UUID(await add_task(client))
    await database.execute("CREATE TABLE all_logs PARTITION OF task_logs DEFAULT")
    await database.execute(MANY_LOGS, NOON, task_id, 1, 10_000)

    counted = (await client.get("/api/logs?limit=100")).json()["meta"]
    await database.execute(MANY_LOGS, NOON, task_id, 10_001, 40_000)
    await database.execute("ANALYZE tasks, task_logs")
    estimated = (await client.get("/api/logs?limit=100")).json()["meta"]

    assert counted == {"page": 1, "limit": 100, "total": 10_000, "totalPages": 100}
    assert estimated["totalIsEstimate"] is True
    assert 36_000 < estimated["total"] < 44_000


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("taskId=1", "taskId"),
        ("status=ACTIVE", "status"),
        ("dateFrom=yesterday", "dateFrom"),
        ("dateFrom=2026-02-30", "dateFrom"),
        ("dateFrom=2026-01-01T00:00:00", "dateFrom"),
        ("dateFrom=2026-01-01T00:00:00+00:00", "dateFrom"),
        ("dateTo=9999-12-31", "dateTo"),
        ("dateTo=", "dateTo"),
        ("dateFrom=2026-01-02&dateTo=2026-01-01", "dateTo"),
        ("limit=101", "limit"),
        ("page=0", "page"),
        ("sort=name", "sort"),
        ("page=5001", "page"),
        ("page=1001&limit=100&dateFrom=2026-01-01", "page"),
    ],
)
async def test_refused_query_is_named(shared_client: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await shared_client.get(f"/api/logs?{query}")

    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["errors"]] == [field]
