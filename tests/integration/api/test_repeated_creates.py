"""Creating a task with an Idempotency-Key: the same request again makes no second task."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

KEY = {"Idempotency-Key": "the-key"}


@pytest.fixture
def client(shared_client: httpx.AsyncClient) -> httpx.AsyncClient:
    """One database is enough: each test makes its own tasks."""
    return shared_client


@pytest.fixture
async def database(shared_database: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    yield shared_database
    await shared_database.execute("TRUNCATE idempotency_keys, tasks, task_revisions")


async def count(database: asyncpg.Connection) -> int:
    found: int = await database.fetchval("SELECT count(*) FROM tasks")
    return found


async def test_same_request_again_makes_no_second_task(
    client: httpx.AsyncClient, new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    first = await client.post("/api/tasks", json=new_task, headers=KEY)

    again = await client.post("/api/tasks", json=new_task, headers={"Idempotency-Key": '"the-key"'})

    assert (again.status_code, again.json()) == (first.status_code, first.json()) == (201, first.json())
    assert again.headers["etag"] == first.headers["etag"]
    assert await count(database) == 1


async def test_same_request_many_times_at_once_makes_one_task(
    client: httpx.AsyncClient, new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    answers = await asyncio.gather(*(client.post("/api/tasks", json=new_task, headers=KEY) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await count(database) == 1


async def test_other_request_with_the_key_is_refused(
    client: httpx.AsyncClient, new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    await client.post("/api/tasks", json=new_task, headers=KEY)

    answer = await client.post("/api/tasks", json={**new_task, "name": "Other"}, headers=KEY)

    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["detail"]
    assert await count(database) == 1


async def test_repeated_request_is_answered_with_the_task_as_it_is_by_then(
    client: httpx.AsyncClient, new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    task = (await client.post("/api/tasks", json=new_task, headers=KEY)).json()
    changed = await client.patch(f"/api/tasks/{task['id']}", json={"name": "New"})

    again = await client.post("/api/tasks", json=new_task, headers=KEY)

    assert (again.status_code, again.json()) == (201, changed.json())
    assert again.headers["etag"] == changed.headers["etag"]


async def test_repeated_request_does_not_bring_back_a_deleted_task(
    client: httpx.AsyncClient, new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    task = (await client.post("/api/tasks", json=new_task, headers=KEY)).json()
    await client.delete(f"/api/tasks/{task['id']}")

    again = await client.post("/api/tasks", json=new_task, headers=KEY)

    assert again.status_code == 409
    assert await count(database) == 1


@pytest.mark.parametrize("change", [{"name": ""}, {"schedule": None, "runAt": "2020-01-01T00:00:00Z"}])
async def test_request_that_is_refused_leaves_its_key_free(
    client: httpx.AsyncClient, new_task: dict[str, Any], database: asyncpg.Connection, change: dict[str, Any]
) -> None:
    refused = await client.post("/api/tasks", json={**new_task, **change}, headers=KEY)

    again = await client.post("/api/tasks", json=new_task, headers=KEY)

    assert (refused.status_code, again.status_code) == (400, 201)
    assert await count(database) == 1


async def test_key_that_is_none_is_refused(
    client: httpx.AsyncClient, new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    answer = await client.post("/api/tasks", json=new_task, headers={"Idempotency-Key": "two words"})

    assert [each["field"] for each in answer.json()["errors"]] == ["Idempotency-Key"]
    assert await count(database) == 0


async def test_key_of_a_create_is_apart_from_that_of_a_run(
    client: httpx.AsyncClient, new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    await database.execute("CREATE TABLE all_executions PARTITION OF executions DEFAULT")
    task = (await client.post("/api/tasks", json=new_task, headers=KEY)).json()

    ran = await client.post(f"/api/tasks/{task['id']}/run", headers=KEY)

    assert ran.status_code == 202
