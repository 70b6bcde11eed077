"""Tasks that are run by hand, with real processes on real servers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from e2e.conftest import API_KEY, client_of, run
from e2e.processes import Tocsin, free_port
from tocsin_local.receiver import Receiver
from tocsin_local.script import LocalWebhook, Script
from waiting import eventually

pytestmark = pytest.mark.usefixtures("sender")

NEVER = "0 0 0 1 1 *"  # all that is owed is owed by hand
PATIENT = {"SWEEP_PATIENCE_S": "60"}  # what arrives was announced by the API


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, **PATIENT}


Succeeded = Callable[[dict[str, Any], int], Awaitable[list[asyncpg.Record]]]


@pytest.fixture
def succeeded(executions) -> Succeeded:
    """The executions of a task that have succeeded, once they are so many."""

    async def look(task: dict[str, Any], count: int) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await executions(task, "succeeded")
        return rows if len(rows) >= count else []

    async def wait(task: dict[str, Any], count: int) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await eventually(lambda: look(task, count))
        return rows

    return wait


def posted(webhook: LocalWebhook) -> list[str]:
    return [str(post.execution_id) for post in webhook.posts]


@pytest.mark.usefixtures("scheduler")
@pytest.mark.parametrize("status", ["ACTIVE", "INACTIVE"])
async def test_a_run_by_hand_is_one_post_at_once_whatever_the_tasks_status(
    receiver: Receiver, create_task, api, succeeded: Succeeded, status: str
):
    webhook = receiver.add()
    task = await create_task(webhook.url, schedule=NEVER, status=status)

    execution = await run(api, task)
    [row] = await succeeded(task, 1)

    logs = (await api.get(f"/api/tasks/{task['id']}/logs")).json()["data"]
    assert posted(webhook) == [execution["executionId"]]
    assert (row["kind"], row["seq"]) == ("manual", 1)
    assert [log["status"] for log in logs] == ["SUCCESS"]
    assert (await api.get(f"/api/tasks/{task['id']}")).json()["status"] == status


@pytest.mark.usefixtures("scheduler")
async def test_a_run_that_is_sent_again_with_its_key_is_one_post(
    receiver: Receiver, create_task, api, succeeded: Succeeded
):
    webhook = receiver.add()
    task = await create_task(webhook.url, schedule=NEVER, status="INACTIVE")

    at_once = await asyncio.gather(*(run(api, task, "the-key") for _ in range(10)))
    await succeeded(task, 1)
    again = await run(api, task, "the-key")
    another = await run(api, task)
    rows = await succeeded(task, 2)

    first = at_once[0]["executionId"]
    assert {execution["executionId"] for execution in [*at_once, again]} == {first}
    assert posted(webhook) == [first, another["executionId"]]
    assert [row["seq"] for row in rows] == [1, 1]


@pytest.mark.usefixtures("scheduler")
async def test_a_run_by_hand_that_fails_is_retried_as_any_other(
    receiver: Receiver, create_task, api, succeeded: Succeeded
):
    webhook = receiver.add(Script(each=(500,)))
    task = await create_task(webhook.url, schedule=NEVER, status="INACTIVE")

    execution = await run(api, task)
    [row] = await succeeded(task, 1)

    assert posted(webhook) == [execution["executionId"]] * 2
    assert (row["seq"], row["failures"]) == (2, 1)


async def test_a_run_by_hand_needs_no_scheduler(
    receiver: Receiver, create_task, api, scheduler: Tocsin, succeeded: Succeeded
):
    webhook = receiver.add()
    task = await create_task(webhook.url, schedule=NEVER)
    await scheduler.stop()

    execution = await run(api, task)
    await succeeded(task, 1)

    assert posted(webhook) == [execution["executionId"]]


async def test_a_run_by_hand_that_was_not_announced_is_swept(receiver: Receiver, start, succeeded: Succeeded):
    scheduler = await start("tocsin-dispatcher", "schedule", SWEEP_PATIENCE_S="1")
    await scheduler.logged("scheduler.leading")
    webhook, port = receiver.add(), free_port()
    cut_off = {"RABBITMQ_URL": "amqp://127.0.0.1:1/", "PORT": str(port), "API_KEY": API_KEY}
    await start("tocsin-api", "serve", **cut_off)
    body = {"name": "x", "schedule": NEVER, "webhookUrl": webhook.url, "payload": {"content": "hello"}}

    async with client_of(port) as api:
        task = (await api.post("/api/tasks", json=body)).json()
        execution = await run(api, task)
    [row] = await succeeded(task, 1)

    assert UUID(task["id"]) == row["task_id"]
    assert posted(webhook) == [execution["executionId"]]
    await scheduler.logged("executions.announced_again")


@pytest.mark.usefixtures("scheduler")
@pytest.mark.parametrize(
    ("answers", "state", "logs"),
    [
        ((), "succeeded", ["SUCCESS"]),
        ((500,), "succeeded", ["SUCCESS", "RETRYING"]),
        ((400,), "failed", ["FAILED"]),
    ],
)
async def test_a_test_run_is_answered_with_its_outcome(
    receiver: Receiver, create_task, api, answers: tuple[int, ...], state: str, logs: list[str]
):
    webhook = receiver.add(Script(each=answers))
    task = await create_task(webhook.url, schedule=NEVER, status="INACTIVE")

    answer = await api.post(f"/api/tasks/{task['id']}/test")

    execution = answer.json()
    assert (answer.status_code, execution["state"]) == (200, state)
    assert [log["status"] for log in execution["logs"]] == logs
    assert posted(webhook) == [execution["executionId"]] * len(logs)
    assert 0 <= execution["latenessMs"] < 5000
