"""The route that shows executions."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from integration.api.owed import DAY, NOON, add_execution, add_log, make_partitions
from integration.api.serving import task_body
from tocsin_common.messages import execution_id

SOME_ID = "00000000-0000-4000-8000-000000000000"
MICROSECOND = timedelta(microseconds=1)
REASONS = ("permanent: HTTP 400: 100% wrong", "retries exhausted: HTTP 500: a_b\\c", "given up: too old")


async def add_task(client: httpx.AsyncClient, name: str) -> str:
    task_id: str = (await client.post("/api/tasks", json={**task_body(), "name": name})).json()["id"]
    return task_id


@pytest.fixture(scope="module", autouse=True)
async def partitions(shared_database: asyncpg.Connection) -> None:
    """Where executions of any day go."""
    await make_partitions(shared_database)


@pytest.fixture(scope="module")
async def tasks(
    shared_client: httpx.AsyncClient, shared_database: asyncpg.Connection, partitions: None
) -> tuple[str, str]:
    """Of one task an execution a day up to noon of the 31st: a success, three failures; of the other one later."""
    one, other = await add_task(shared_client, "One"), await add_task(shared_client, "Other")
    await add_execution(shared_database, one, NOON, state="succeeded", reason=None)
    for days, reason in enumerate(REASONS, 1):
        await add_execution(shared_database, one, NOON - days * DAY, reason=reason)
    await add_execution(shared_database, other, NOON + MICROSECOND, kind="manual")
    return one, other


async def listed(client: httpx.AsyncClient, query: str) -> dict[str, Any]:
    answer = await client.get(f"/api/executions?{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def days(found: dict[str, Any]) -> list[int]:
    return [datetime.fromisoformat(row["scheduledFor"]).day for row in found["data"]]


async def test_execution_is_shown_with_what_became_of_it(
    shared_client: httpx.AsyncClient, tasks: tuple[str, str]
) -> None:
    found = await listed(shared_client, f"taskId={tasks[1]}")

    instant = NOON + MICROSECOND
    assert found == {
        "data": [
            {
                "executionId": str(execution_id(UUID(tasks[1]), instant)),
                "taskId": tasks[1],
                "taskName": "Other",
                "scheduledFor": "2026-01-31T12:00:00.000001Z",
                "kind": "manual",
                "state": "failed",
                "reason": "retries exhausted: HTTP 500",
                "destination": "discord.com/1",
                "seq": 4,
                "attempts": 0,
                "latenessMs": None,
                "failures": 4,
                "nextAt": None,
                "giveUpAt": None,
                "createdAt": "2026-01-31T12:00:00.000001Z",
                "finishedAt": "2026-01-31T12:00:20.000001Z",
                "replayedAt": None,
                "missedFrom": None,
                "missedCount": None,
            }
        ],
        "meta": {"page": 1, "limit": 20, "total": 1, "totalPages": 1},
    }


@pytest.mark.parametrize("state", ["due", "waiting", "running"])
async def test_execution_that_has_not_ended_is_shown_with_its_times(
    shared_client: httpx.AsyncClient, shared_database: asyncpg.Connection, state: str
) -> None:
    task_id = await add_task(shared_client, state)
    columns = {"state": state, "reason": None, "finished_at": None, "replayed_at": NOON}
    await add_execution(shared_database, task_id, NOON, **columns)

    [row] = (await listed(shared_client, f"taskId={task_id}"))["data"]

    assert (row["nextAt"], row["giveUpAt"]) == ("2026-01-31T12:00:00Z", "2026-02-01T12:00:00Z")
    assert (row["state"], row["finishedAt"], row["replayedAt"]) == (state, None, "2026-01-31T12:00:00Z")


async def test_missed_execution_is_shown_with_what_it_stands_for(
    shared_client: httpx.AsyncClient, shared_database: asyncpg.Connection
) -> None:
    task_id = await add_task(shared_client, "Missed")
    columns = {"state": "missed", "reason": None, "missed_from": NOON - DAY, "missed_count": 24}
    await add_execution(shared_database, task_id, NOON, **columns)

    [row] = (await listed(shared_client, f"taskId={task_id}&state=missed"))["data"]

    assert (row["missedFrom"], row["missedCount"]) == ("2026-01-30T12:00:00Z", 24)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [31, 30, 29, 28]),
        ("state=failed", [30, 29, 28]),
        ("state=succeeded", [31]),
        ("state=due", []),
        ("reason=http", [30, 29]),
        ("reason=TOO+OLD", [28]),
        ("reason=100%25", [30]),
        ("reason=%25", [30]),
        ("reason=_", [29]),
        ("reason=b%5Cc", [29]),
        ("reason=http&dateTo=2026-01-29", [29]),
        ("dateFrom=2026-01-30", [31, 30]),
        ("dateTo=2026-01-29", [29, 28]),
        ("dateFrom=2026-01-30T12:00:00Z", [31, 30]),
        ("dateFrom=2026-01-30T12:00:00.000001Z", [31]),
        ("dateTo=2026-01-30T13:00:00%2B01:00", [30, 29, 28]),
        ("limit=3", [31, 30, 29]),
        ("limit=3&page=2", [28]),
        ("state=failed&limit=2&page=2", [28]),
    ],
)
async def test_executions_are_filtered_and_newest_first(
    shared_client: httpx.AsyncClient, tasks: tuple[str, str], query: str, found: list[int]
) -> None:
    assert days(await listed(shared_client, f"taskId={tasks[0]}&{query}")) == found


async def test_executions_of_all_tasks_come_in_pages(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await make_partitions(database)
    one, other = await add_task(client, "One"), await add_task(client, "Other")
    for n in range(3):
        await add_execution(database, one, NOON - n * DAY)
        await add_execution(database, other, NOON - n * DAY - MICROSECOND)

    pages = [await listed(client, f"state=failed&limit=4&page={page}") for page in (1, 2)]

    assert [row["taskId"] for page in pages for row in page["data"]] == [one, other] * 3
    assert pages[1]["meta"] == {"page": 2, "limit": 4, "total": 6, "totalPages": 2}


async def test_executions_of_deleted_tasks_are_not_shown(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await make_partitions(database)
    deleted, other = await add_task(client, "One"), await add_task(client, "Other")
    for task_id in (deleted, other):
        await add_execution(database, task_id, NOON)

    await client.delete(f"/api/tasks/{deleted}")

    found = await listed(client, "")
    assert [row["taskId"] for row in found["data"]] == [other]
    assert found["meta"]["total"] == 1
    assert (await listed(client, f"taskId={deleted}"))["data"] == []


async def test_executions_of_an_unknown_task_are_an_empty_list(shared_client: httpx.AsyncClient) -> None:
    found = await listed(shared_client, f"taskId={uuid4()}")

    assert found == {"data": [], "meta": {"page": 1, "limit": 20, "total": 0, "totalPages": 0}}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("taskId=1", "taskId"),
        ("state=FAILED", "state"),
        ("state=", "state"),
        ("reason=", "reason"),
        (f"reason={'x' * 101}", "reason"),
        ("reason=%00", "reason"),
        ("dateFrom=yesterday", "dateFrom"),
        ("dateTo=9999-12-31", "dateTo"),
        ("dateFrom=2026-01-02&dateTo=2026-01-01", "dateTo"),
        ("limit=101", "limit"),
        ("page=0", "page"),
        ("sort=name", "sort"),
    ],
)
async def test_refused_query_is_named(shared_client: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await shared_client.get(f"/api/executions?{query}")

    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["errors"]] == [field]


# --- One execution ----------------------------------------------------------------------------------------------


def path_of(task_id: str, instant: datetime) -> str:
    at = instant.isoformat().replace("+00:00", "Z")
    return f"/api/executions/{execution_id(UUID(task_id), instant)}?taskId={task_id}&scheduledFor={at}"


async def add_attempts(database: asyncpg.Connection, task_id: str, at: datetime, began: list[timedelta]) -> None:
    for seq, after in enumerate(began, 1):
        await add_log(database, task_id, at, "RETRYING", seq=seq, execution_time=at + after)


async def test_execution_is_found_by_its_id_task_and_instant(
    shared_client: httpx.AsyncClient, tasks: tuple[str, str]
) -> None:
    listed_ = (await listed(shared_client, f"taskId={tasks[1]}"))["data"]

    answer = await shared_client.get(path_of(tasks[1], NOON + MICROSECOND))

    assert answer.status_code == 200
    assert answer.json() == {**listed_[0], "logs": []}


async def test_execution_shows_its_attempts_and_how_late_the_first_began(
    shared_client: httpx.AsyncClient, shared_database: asyncpg.Connection
) -> None:
    task_id = await add_task(shared_client, "Late")
    await add_execution(shared_database, task_id, NOON, jitter_ms=1500)
    await add_execution(shared_database, task_id, NOON + DAY)
    await add_attempts(shared_database, task_id, NOON, [timedelta(seconds=n) for n in (2, 5, 9)])
    await add_attempts(shared_database, task_id, NOON + DAY, [timedelta(microseconds=-300)])

    shown = (await shared_client.get(path_of(task_id, NOON))).json()
    in_list = (await listed(shared_client, f"taskId={task_id}"))["data"]

    assert (shown["attempts"], shown["latenessMs"]) == (3, 500)
    assert [log["executionTime"] for log in shown["logs"]] == [
        f"2026-01-31T12:00:0{second}Z" for second in (9, 5, 2)
    ]
    assert [(row["attempts"], row["latenessMs"]) for row in in_list] == [(1, 0), (3, 500)]


async def test_execution_of_a_deleted_task_is_gone(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await make_partitions(database)
    task_id = await add_task(client, "One")
    await add_execution(database, task_id, NOON)
    before = await client.get(path_of(task_id, NOON))

    await client.delete(f"/api/tasks/{task_id}")

    assert before.status_code == 200
    assert (await client.get(path_of(task_id, NOON))).status_code == 404


async def test_id_that_the_two_do_not_make_is_404(
    shared_client: httpx.AsyncClient, tasks: tuple[str, str]
) -> None:
    right = path_of(tasks[0], NOON)
    wrong = right.replace(str(execution_id(UUID(tasks[0]), NOON)), str(uuid4()))

    answer = await shared_client.get(wrong)

    assert (await shared_client.get(right)).status_code == 200
    assert answer.status_code == 404
    assert "taskId and scheduledFor" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("id_", "query", "fields"),
    [
        (SOME_ID, "", ["taskId", "scheduledFor"]),
        (SOME_ID, f"taskId={SOME_ID}", ["scheduledFor"]),
        (SOME_ID, "taskId=1&scheduledFor=2026-01-31", ["taskId", "scheduledFor"]),
        ("1", f"taskId={SOME_ID}&scheduledFor=2026-01-31T12:00:00Z", ["id"]),
    ],
)
async def test_refused_key_of_an_execution_is_named(
    shared_client: httpx.AsyncClient, id_: str, query: str, fields: list[str]
) -> None:
    answer = await shared_client.get(f"/api/executions/{id_}?{query}")

    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["errors"]] == fields
