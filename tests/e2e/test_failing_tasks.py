"""Tasks that fail again and again are stopped."""

from datetime import datetime

import pytest

from tocsin_local.receiver import Receiver
from tocsin_local.script import Script

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
