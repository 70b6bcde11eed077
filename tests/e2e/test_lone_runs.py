"""Tasks that are run by hand where a part is away, with real processes on real servers."""

from uuid import UUID

import pytest

from e2e.conftest import API_KEY, client_of, run
from e2e.processes import Tocsin, free_port
from tocsin_local.receiver import Receiver
from tocsin_local.script import LocalWebhook
from waiting import eventually

pytestmark = pytest.mark.usefixtures("sender")

NEVER = "0 0 0 1 1 *"  # all that is owed is owed by hand


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """What arrives was announced by the API, where nothing else is said."""
    return {**environment, "SWEEP_PATIENCE_S": "60"}


def posted(webhook: LocalWebhook) -> list[str]:
    return [str(post.execution_id) for post in webhook.posts]


async def test_a_run_by_hand_needs_no_scheduler(
    receiver: Receiver, create_task, api, scheduler: Tocsin, executions
):
    webhook = receiver.add()
    task = await create_task(webhook.url, schedule=NEVER)
    await scheduler.stop()

    execution = await run(api, task)
    await eventually(lambda: executions(task, "succeeded"))

    assert posted(webhook) == [execution["executionId"]]


async def test_a_run_by_hand_that_was_not_announced_is_swept(receiver: Receiver, start, executions):
    scheduler = await start("tocsin-dispatcher", "schedule", SWEEP_PATIENCE_S="1")
    await scheduler.logged("scheduler.leading")
    webhook, port = receiver.add(), free_port()
    cut_off = {"RABBITMQ_URL": "amqp://127.0.0.1:1/", "PORT": str(port), "API_KEY": API_KEY}
    await start("tocsin-api", "serve", **cut_off)
    body = {"name": "x", "schedule": NEVER, "webhookUrl": webhook.url, "payload": {"content": "hello"}}

    async with client_of(port) as api:
        task = (await api.post("/api/tasks", json=body)).json()
        execution = await run(api, task)
    [row] = await eventually(lambda: executions(task, "succeeded"))

    assert UUID(task["id"]) == row["task_id"]
    assert posted(webhook) == [execution["executionId"]]
    await scheduler.logged("executions.announced_again")
