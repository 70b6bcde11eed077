"""A task that is run by hand and waited for. Here the test does what a sender would."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest

from integration.api.owed import add_log, make_partitions
from integration.api.serving import serve
from tocsin_common.settings import ApiSettings
from waiting import eventually


@pytest.fixture(autouse=True)
async def partitions(database: asyncpg.Connection) -> None:
    """Where executions of any day go."""
    await make_partitions(database)


@pytest.fixture
async def hasty(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that does not wait long, and for one execution at a time."""
    async with serve(msgspec.structs.replace(settings, test_wait_s=0.2, test_waits=1)) as client:
        yield client


async def execution_of(database: asyncpg.Connection, task: dict[str, Any]) -> datetime:
    """For when it is, as soon as it is there."""
    at: datetime = await eventually(
        lambda: database.fetchval("SELECT scheduled_for FROM executions WHERE task_id = $1", UUID(task["id"]))
    )
    return at


async def end(database: asyncpg.Connection, task: dict[str, Any], at: datetime, state: str) -> None:
    await add_log(database, task["id"], at, "SUCCESS" if state == "succeeded" else "FAILED")
    await database.execute(
        "UPDATE executions SET state = $3, seq = 1, finished_at = clock_timestamp()"
        " WHERE scheduled_for = $1 AND task_id = $2",
        at,
        UUID(task["id"]),
        state,
    )


@pytest.mark.parametrize(("state", "log"), [("succeeded", "SUCCESS"), ("failed", "FAILED")])
async def test_test_is_answered_with_how_the_execution_ended(
    client: httpx.AsyncClient, database: asyncpg.Connection, task: dict[str, Any], state: str, log: str
) -> None:
    asked = asyncio.create_task(client.post(f"/api/tasks/{task['id']}/test"))
    at = await execution_of(database, task)
    await end(database, task, at, state)

    answer = await asked

    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["kind"]) == (state, "manual")
    assert [each["status"] for each in answer.json()["logs"]] == [log]
    assert (await client.get(answer.headers["location"])).json() == answer.json()


async def test_execution_that_takes_too_long_is_answered_as_it_is_by_then(
    hasty: httpx.AsyncClient, task: dict[str, Any]
) -> None:
    answer = await hasty.post(f"/api/tasks/{task['id']}/test")

    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["logs"]) == ("due", [])
    assert (await hasty.get(answer.headers["location"])).json() == answer.json()


async def test_same_test_again_waits_for_the_same_execution(
    hasty: httpx.AsyncClient, database: asyncpg.Connection, task: dict[str, Any]
) -> None:
    headers = {"Idempotency-Key": "the-key"}
    first = await hasty.post(f"/api/tasks/{task['id']}/test", headers=headers)
    await end(database, task, await execution_of(database, task), "succeeded")

    again = await hasty.post(f"/api/tasks/{task['id']}/test", headers=headers)

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["executionId"] == first.json()["executionId"]
    assert again.json()["state"] == "succeeded"
    assert await database.fetchval("SELECT count(*) FROM executions") == 1


async def test_only_so_many_wait_at_a_time_and_others_run_nothing(
    settings: ApiSettings, database: asyncpg.Connection, task: dict[str, Any]
) -> None:
    async with serve(msgspec.structs.replace(settings, test_waits=1)) as client:
        waiting = asyncio.create_task(client.post(f"/api/tasks/{task['id']}/test"))
        at = await execution_of(database, task)

        refused = await client.post(f"/api/tasks/{task['id']}/test")
        await end(database, task, at, "succeeded")
        answered = await waiting
        in_time = asyncio.create_task(client.post(f"/api/tasks/{task['id']}/test"))
        again = "SELECT scheduled_for FROM executions WHERE state = 'due'"
        await end(database, task, await eventually(lambda: database.fetchval(again)), "succeeded")

        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert answered.status_code == (await in_time).status_code == 200
    assert await database.fetchval("SELECT count(*) FROM executions") == 2


async def test_task_that_is_deleted_meanwhile_is_404(
    hasty: httpx.AsyncClient, client: httpx.AsyncClient, database: asyncpg.Connection, task: dict[str, Any]
) -> None:
    asked = asyncio.create_task(hasty.post(f"/api/tasks/{task['id']}/test"))
    await execution_of(database, task)
    await client.delete(f"/api/tasks/{task['id']}")

    assert (await asked).status_code == 404
