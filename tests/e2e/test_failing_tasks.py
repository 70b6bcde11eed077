"""Tasks that fail again and again are stopped."""

from datetime import datetime

import asyncpg
import pytest

from e2e.conftest import run
from tocsin_local.receiver import Receiver
from tocsin_local.script import Script
from waiting import eventually

pytestmark = pytest.mark.usefixtures("scheduler")


async def test_a_task_that_failed_too_often_is_stopped_and_has_all_its_chances_when_it_is_started_again(
    receiver: Receiver, create_task, api, start, executions
):
    sender = await start("tocsin-dispatcher", "send", AUTO_DISABLE_AFTER="2")
    webhook = receiver.add(Script(then=500))
    task = await create_task(webhook.url, schedule="*/2 * * * * *", maxRetry=0)
    await sender.logged("tasks.failed")
    stopped = (await api.get(f"/api/tasks/{task['id']}")).json()

    started = (await api.post(f"/api/tasks/{task['id']}/toggle")).json()
    stop = await sender.logged("tasks.failed", count=2)

    assert (stopped["status"], started["status"]) == ("FAILED", "ACTIVE")
    since = datetime.fromisoformat(started["updatedAt"])
    failed_since = [row for row in await executions(task, "failed") if row["finished_at"] >= since]
    counted = int(stop["reason"].split()[0])
    assert 2 <= counted <= len(failed_since)


@pytest.mark.usefixtures("sender")
async def test_a_payload_that_discord_would_refuse_is_not_posted_and_the_log_says_why(
    receiver: Receiver, create_task, api, database: asyncpg.Connection, executions
):
    webhook = receiver.add()
    task = await create_task(webhook.url, schedule="0 0 1 1 *")
    await database.execute("UPDATE tasks SET payload = $1", '{"content": "' + "x" * 2001 + '"}')

    await run(api, task)
    [row] = await eventually(lambda: executions(task, "failed"))

    [log] = (await api.get(f"/api/tasks/{task['id']}/logs")).json()["data"]
    assert (row["seq"], log["status"]) == (1, "FAILED")
    assert log["message"] == (
        "not sent, for Discord would refuse it: payload/content: 2001 characters, at most 2000"
    )
    assert webhook.posts == []
