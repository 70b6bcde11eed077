"""A sender whose machine lacks something: no execution and no receiver pays for it."""

import resource
from datetime import datetime, timedelta

from e2e.conftest import run
from tocsin_dispatcher.sender.post import SHORTAGE_WAIT_S


async def test_a_sender_without_sockets_spends_no_retry_and_posts_once_it_has_them(
    start, receiver, create_task, executions, scheduler, api, database
):
    sender = await start("tocsin-dispatcher", "send", POST_TIMEOUT_S="4", CLAIM_TTL_S="30")
    await sender.logged("sender.consuming")
    webhook = receiver.add()
    task = await create_task(webhook.url, schedule="0 0 1 1 *", maxRetry=0)
    pid = sender.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, hard))

    await run(api, task)
    first, second = [await sender.logged("post.not_sent", count=count) for count in (1, 2)]

    passed = datetime.fromisoformat(second["timestamp"]) - datetime.fromisoformat(first["timestamp"])
    assert passed >= timedelta(seconds=SHORTAGE_WAIT_S)
    assert {line["reason"] for line in (first, second)} == {"this machine lacks resources (EMFILE)"}
    assert webhook.posts == []
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    await sender.logged("attempt.finished")
    [execution] = await executions(task, "succeeded")
    assert (execution["failures"], execution["lost_claims"], len(webhook.posts)) == (0, 0, 1)
    assert await database.fetchval("SELECT count(*) FROM task_logs WHERE task_id = $1", task["id"]) == 1
    assert not sender.has_logged("destination.blocked")
