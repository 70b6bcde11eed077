"""A task that is run by hand: one execution more, and a key that keeps it at one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from tocsin_common.messages import execution_id

DAY = timedelta(days=1)


@pytest.fixture(scope="module", autouse=True)
async def partition(shared_database: asyncpg.Connection) -> None:
    """Where executions of any day go; else a scheduler makes the partitions."""
    await shared_database.execute("CREATE TABLE all_executions PARTITION OF executions DEFAULT")


@pytest.fixture
def client(shared_client: httpx.AsyncClient) -> httpx.AsyncClient:
    """One database is enough: each test makes its own task."""
    return shared_client


@pytest.fixture
async def database(shared_database: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    yield shared_database
    await shared_database.execute("TRUNCATE idempotency_keys")


async def run(client: httpx.AsyncClient, task: dict[str, Any], key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post(f"/api/tasks/{task['id']}/run", headers=headers)


async def executions(database: asyncpg.Connection, task: dict[str, Any]) -> list[asyncpg.Record]:
    return await database.fetch("SELECT * FROM executions WHERE task_id = $1 ORDER BY scheduled_for", task["id"])


async def test_run_adds_an_execution_that_is_owed_now(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection
) -> None:
    answer = await run(client, task)

    [row] = await executions(database, task)
    assert answer.status_code == 202
    assert answer.json() == {
        "executionId": str(execution_id(UUID(task["id"]), row["scheduled_for"])),
        "taskId": task["id"],
        "scheduledFor": answer.json()["scheduledFor"],
        "kind": "manual",
        "state": "due",
    }
    assert datetime.fromisoformat(answer.json()["scheduledFor"]) == row["scheduled_for"] == row["next_at"]
    assert (row["kind"], row["state"], row["destination"]) == ("manual", "due", "discord.com/123456789012345678")
    assert row["give_up_at"] == row["scheduled_for"] + DAY
    assert row["scheduled_for"] > datetime.fromisoformat(task["createdAt"])


@pytest.mark.parametrize("status", ["ACTIVE", "INACTIVE", "FAILED"])
async def test_run_needs_no_active_task_and_leaves_it_as_it_is(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection, status: str
) -> None:
    await database.execute("UPDATE tasks SET status = $2 WHERE id = $1", task["id"], status)

    answer = await run(client, task)

    assert answer.status_code == 202
    shown = (await client.get(f"/api/tasks/{task['id']}")).json()
    assert {**task, "status": status}.items() <= shown.items()
    assert await database.fetchval("SELECT count(*) FROM task_revisions WHERE task_id = $1", task["id"]) == 1


async def test_each_run_without_a_key_is_one_more(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection
) -> None:
    answers = await asyncio.gather(*(run(client, task) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["executionId"] for answer in answers}) == 20
    assert len(await executions(database, task)) == 20


async def test_deleted_task_cannot_be_run(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection
) -> None:
    await client.delete(f"/api/tasks/{task['id']}")

    for key in (None, "a-key"):
        assert (await run(client, task, key)).status_code == 404

    assert await executions(database, task) == []
    assert await database.fetchval("SELECT count(*) FROM idempotency_keys") == 0


# --- With an Idempotency-Key ------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", ["the-key", '"the-key"'])
async def test_same_request_again_is_answered_the_same_and_not_done_twice(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection, second: str
) -> None:
    answers = [await run(client, task, "the-key"), await run(client, task, second)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert len(await executions(database, task)) == 1


async def test_same_request_many_times_at_once_is_done_once(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection
) -> None:
    answers = await asyncio.gather(*(run(client, task, "the-key") for _ in range(30)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert len(await executions(database, task)) == 1


async def test_keys_are_apart(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection
) -> None:
    for key in ("the-key", "The-Key", "another"):
        await run(client, task, key)

    assert len(await executions(database, task)) == 3


async def test_key_of_another_request_is_refused(
    client: httpx.AsyncClient, task: dict[str, Any], new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    other = (await client.post("/api/tasks", json=new_task)).json()
    await run(client, task, "the-key")

    for answer in (
        await run(client, other, "the-key"),
        await client.post(f"/api/tasks/{task['id']}/run", content=b"{}", headers={"Idempotency-Key": "the-key"}),
    ):
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Idempotency-Key" in answer.json()["detail"]
    assert await executions(database, other) == []
    assert len(await executions(database, task)) == 1


@pytest.mark.parametrize("key", ["", '""', "two words", '"open', "x" * 256, "é".encode()])
async def test_key_that_is_none_is_refused(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection, key: str | bytes
) -> None:
    headers: dict[str, Any] = {"Idempotency-Key": key}

    answer = await client.post(f"/api/tasks/{task['id']}/run", headers=headers)

    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["errors"]] == ["Idempotency-Key"]
    assert await executions(database, task) == []


async def test_two_keys_are_refused(client: httpx.AsyncClient, task: dict[str, Any]) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]

    answer = await client.post(f"/api/tasks/{task['id']}/run", headers=headers)

    assert answer.status_code == 400


async def test_answer_to_the_same_request_outlives_the_task(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection
) -> None:
    first = await run(client, task, "the-key")
    await client.delete(f"/api/tasks/{task['id']}")

    again = await run(client, task, "the-key")

    assert (again.status_code, again.json()) == (202, first.json())


async def test_key_is_free_again_after_a_day(
    client: httpx.AsyncClient, task: dict[str, Any], new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    other = (await client.post("/api/tasks", json=new_task)).json()
    await run(client, task, "young")
    await run(client, task, "old")
    await age(database, "young", DAY - timedelta(minutes=5))
    await age(database, "old", DAY + timedelta(seconds=1))

    again = await run(client, task, "young")
    anew = await run(client, other, "old")

    assert (again.status_code, anew.status_code) == (202, 202)
    assert len(await executions(database, task)) == 2
    assert len(await executions(database, other)) == 1
    assert (await run(client, other, "old")).json() == anew.json()


async def test_each_new_key_takes_a_bounded_number_of_old_ones_with_it(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection
) -> None:
    await database.execute(
        """
        INSERT INTO idempotency_keys (scope, key, request_hash, task_id, created_at)
        SELECT 'run', n::text, ''::bytea, $1, clock_timestamp() - make_interval(hours => CASE WHEN n > 150 THEN 24
                                                                                         ELSE 26 END)
        FROM generate_series(1, 160) AS n
        """,
        task["id"],
    )
    left = []

    for key in ("a", "b", "c"):
        await run(client, task, key)
        left.append(await database.fetchval("SELECT count(*) FROM idempotency_keys WHERE length(key) < 10"))

    assert left == [60, 10, 10]


async def test_request_that_fails_leaves_its_key_free(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection
) -> None:
    await database.execute("ALTER TABLE executions DETACH PARTITION all_executions")
    try:
        refused = await run(client, task, "the-key")
    finally:
        await database.execute("ALTER TABLE executions ATTACH PARTITION all_executions DEFAULT")

    again = await run(client, task, "the-key")

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "5"
    assert refused.json()["detail"] == (
        "executions have no partition for today yet: a scheduler makes it; try again in 5 s"
    )
    assert again.status_code == 202
    assert len(await executions(database, task)) == 1


async def age(database: asyncpg.Connection, key: str, by: timedelta) -> None:
    await database.execute(
        """
        UPDATE idempotency_keys SET created_at = clock_timestamp() - $2::interval
        WHERE key = encode(sha256($1::text::bytea), 'hex')
        """,
        key,
        by,
    )
