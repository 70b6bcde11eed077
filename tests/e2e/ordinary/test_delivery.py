"""From a task created over REST to the POST at the receiver, with real processes on real servers."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from uuid import UUID

from e2e.processes import Tocsin
from tocsin_common import schedule
from tocsin_common.messages import execution_id
from tocsin_local.limit import Limit
from tocsin_local.receiver import Receiver
from tocsin_local.script import LocalWebhook, Script
from waiting import becomes_true, eventually

NOTHING_LEFT = """
SELECT NOT EXISTS (SELECT FROM executions WHERE task_id = $1)
       AND NOT EXISTS (SELECT FROM task_logs WHERE task_id = $1)
"""


def owed_since(task: dict, count: int) -> list[datetime]:
    """The first instants that the task owes."""
    start = datetime.fromisoformat(task["createdAt"])
    return list(islice(schedule.instants(task["schedule"], "UTC", start=start), count))


def has_posts(webhook: LocalWebhook, count: int):
    return lambda: sum(post.succeeded for post in webhook.posts) >= count


async def all_logs(api, task: dict) -> list[dict]:
    response = await api.get(f"/api/tasks/{task['id']}/logs", params={"limit": 100})
    return response.json()["data"]


async def test_a_task_is_posted_at_each_of_its_instants_once_and_never_early(receiver: Receiver, create_task):
    webhook = receiver.add()
    task = await create_task(webhook.url, payload={"content": "on time"})

    await receiver.wait_until(has_posts(webhook, 3))

    owed = owed_since(task, 3)
    posts = webhook.posts[:3]
    assert [post.execution_id for post in posts] == [execution_id(UUID(task["id"]), instant) for instant in owed]
    assert all(instant <= post.arrived_at for instant, post in zip(owed, posts, strict=True))
    assert posts[0].body == b'{"content":"on time"}'
    assert posts[0].query == {"wait": "true"}
    assert posts[0].headers["content-type"] == "application/json"
    assert posts[0].headers["user-agent"].startswith("DiscordBot (")


async def test_every_attempt_is_logged(receiver: Receiver, create_task, api):
    webhook = receiver.add()
    task = await create_task(webhook.url)

    async def some() -> list[dict]:
        found = await all_logs(api, task)
        return found if len(found) >= 2 else []

    logs = await eventually(some)

    newest = logs[0]
    assert {log["status"] for log in logs} == {"SUCCESS"}
    assert newest["taskId"] == task["id"]
    assert newest["retryCount"] == 0
    assert newest["message"].startswith("HTTP 200, message ")
    assert (await api.get("/api/logs")).json()["data"][0]["taskId"] == task["id"]


async def test_a_receiver_that_fails_first_gets_the_same_execution_again_until_it_succeeds(
    receiver: Receiver, create_task
):
    webhook = receiver.add(Script(each=(500, 503)))
    await create_task(webhook.url, schedule="*/2 * * * * *")

    await receiver.wait_until(has_posts(webhook, 1))

    first = webhook.posts[0].execution_id
    attempts = [post for post in webhook.posts if post.execution_id == first]
    assert [post.status for post in attempts] == [500, 503, 200]
    gaps = [later.arrived_at - earlier.arrived_at for earlier, later in pairwise(attempts)]
    assert gaps[0] >= timedelta(seconds=1)
    assert gaps[1] >= timedelta(seconds=2)


async def test_an_execution_that_fails_too_often_ends_as_failed(receiver: Receiver, create_task, api, executions):
    webhook = receiver.add(Script(then=500))
    task = await create_task(webhook.url, maxRetry=1)

    failed = await eventually(lambda: executions(task, "failed"))

    assert failed[0]["reason"].startswith("retries exhausted: HTTP 500")
    first = [log for log in await all_logs(api, task) if log["status"] == "FAILED"]
    assert first[0]["retryCount"] == 1
    assert "RETRYING" in {log["status"] for log in await all_logs(api, task)}


async def test_a_webhook_that_is_gone_stops_its_task(receiver: Receiver, create_task, api, sender):
    webhook = receiver.add()
    task = await create_task(webhook.url)
    receiver.remove(webhook)

    await eventually(lambda: was_stopped(sender, task))

    answer = (await api.get(f"/api/tasks/{task['id']}")).json()
    assert answer["status"] == "FAILED"


async def was_stopped(sender: Tocsin, task: dict) -> bool:
    return any(task["id"] in line["tasks"] for line in sender.all_logged("tasks.failed"))


async def test_a_limited_webhook_gets_everything_in_its_own_time(receiver: Receiver, create_task, executions):
    webhook = receiver.add(Script(limit=Limit(5, 2)))
    tasks = [await create_task(webhook.url, schedule="*/4 * * * * *") for _ in range(8)]
    first = {execution_id(UUID(task["id"]), owed_since(task, 1)[0]) for task in tasks}

    await receiver.wait_until(lambda: first <= {post.execution_id for post in webhook.posts if post.succeeded})

    failed = [await executions(task, "failed") for task in tasks]
    assert not any(failed)
    succeeded = Counter(post.execution_id for post in webhook.posts if post.succeeded)
    assert set(succeeded.values()) == {1}


async def test_a_limit_that_no_header_shows_is_kept_by_what_a_refusal_says(
    receiver: Receiver, create_task, executions
):
    webhook = receiver.add(Script(limit=Limit(20, 1), hidden_limit=Limit(4, 3)))
    tasks = [await create_task(webhook.url, schedule="*/10 * * * * *") for _ in range(10)]
    first = {execution_id(UUID(task["id"]), owed_since(task, 1)[0]) for task in tasks}

    await receiver.wait_until(lambda: first <= {post.execution_id for post in webhook.posts if post.succeeded})

    assert not any([await executions(task, "failed") for task in tasks])
    succeeded = Counter(post.execution_id for post in webhook.posts if post.succeeded)
    assert set(succeeded.values()) == {1}
    refused = [post for post in webhook.posts if post.status == 429]
    assert 1 <= len(refused) <= 15  # those that were in flight when each of three blocks began, and no more


async def test_a_task_that_is_toggled_off_owes_nothing_until_it_is_toggled_on(
    receiver: Receiver, create_task, api
):
    off, other = receiver.add(), receiver.add()
    task = await create_task(off.url)
    await receiver.wait_until(has_posts(off, 1))

    stopped = (await api.post(f"/api/tasks/{task['id']}/toggle")).json()
    await create_task(other.url)
    await receiver.wait_until(has_posts(other, 3))
    at_rest = {post.execution_id for post in off.posts}
    started = (await api.post(f"/api/tasks/{task['id']}/toggle")).json()
    await receiver.wait_until(lambda: len({post.execution_id for post in off.posts} - at_rest) >= 1)

    assert (stopped["status"], started["status"]) == ("INACTIVE", "ACTIVE")
    ended = datetime.fromisoformat(stopped["updatedAt"])
    allowed = {execution_id(UUID(task["id"]), instant) for instant in owed_since(task, 100) if instant < ended}
    assert at_rest <= allowed


async def test_a_deleted_task_is_gone_at_once(receiver: Receiver, create_task, api):
    webhook, other = receiver.add(), receiver.add()
    task = await create_task(webhook.url)
    await receiver.wait_until(has_posts(webhook, 1))

    response = await api.delete(f"/api/tasks/{task['id']}")
    deleted_at = datetime.now(UTC)
    await create_task(other.url)
    await receiver.wait_until(has_posts(other, 3))

    assert response.json()["id"] == task["id"]
    assert (await api.get(f"/api/tasks/{task['id']}")).status_code == 404
    ids = {post.execution_id for post in webhook.posts}
    assert ids <= {execution_id(UUID(task["id"]), at) for at in owed_since(task, 100) if at < deleted_at}


async def test_what_is_left_of_a_deleted_task_is_removed_and_another_goes_on(
    receiver: Receiver, create_task, api, database
):
    webhook, other = receiver.add(), receiver.add()
    task, another = await create_task(webhook.url), await create_task(other.url)
    await receiver.wait_until(has_posts(webhook, 2))
    await receiver.wait_until(has_posts(other, 1))

    await api.delete(f"/api/tasks/{task['id']}")

    await becomes_true(database, NOTHING_LEFT, UUID(task["id"]), timeout_s=60)
    assert not await database.fetchval(NOTHING_LEFT, UUID(another["id"]))
    await receiver.wait_until(has_posts(other, len(other.posts) + 2))


async def test_a_changed_schedule_holds_from_the_change_on(receiver: Receiver, create_task, api):
    webhook = receiver.add()
    task = await create_task(webhook.url, schedule="0 0 0 1 1 *")

    changed = (await api.patch(f"/api/tasks/{task['id']}", json={"schedule": "* * * * * *"})).json()
    await receiver.wait_until(has_posts(webhook, 2))

    owed = owed_since({**changed, "createdAt": changed["updatedAt"]}, 2)
    assert [post.execution_id for post in webhook.posts[:2]] == [
        execution_id(UUID(task["id"]), instant) for instant in owed
    ]
