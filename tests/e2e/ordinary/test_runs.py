"""Tasks that are run by hand, with real processes on real servers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from e2e.conftest import run
from tocsin_local.receiver import Receiver
from tocsin_local.script import LocalWebhook, Script
from waiting import eventually

NEVER = "0 0 0 1 1 *"  # all that is owed is owed by hand


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


async def test_a_run_by_hand_that_fails_is_retried_as_any_other(
    receiver: Receiver, create_task, api, succeeded: Succeeded
):
    webhook = receiver.add(Script(each=(500,)))
    task = await create_task(webhook.url, schedule=NEVER, status="INACTIVE")

    execution = await run(api, task)
    [row] = await succeeded(task, 1)

    assert posted(webhook) == [execution["executionId"]] * 2
    assert (row["seq"], row["failures"]) == (2, 1)


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
