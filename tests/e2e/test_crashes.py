"""Processes killed in the middle of real work: nothing owed is lost, and nothing recorded is posted again."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import takewhile
from uuid import UUID

from tocsin_common import schedule
from tocsin_common.messages import execution_id
from tocsin_local.receiver import Receiver
from tocsin_local.script import NO_ANSWER, LocalWebhook, Script


def successes(webhook: LocalWebhook) -> Counter[UUID | None]:
    return Counter(post.execution_id for post in webhook.posts if post.succeeded)


def owed_until(task: dict, end: datetime) -> set[UUID]:
    start = datetime.fromisoformat(task["createdAt"])
    instants = schedule.instants(task["schedule"], "UTC", start=start)
    return {execution_id(UUID(task["id"]), at) for at in takewhile(lambda at: at <= end, instants)}


def all_delivered(webhook: LocalWebhook, owed: set[UUID]) -> Callable[[], bool]:
    return lambda: owed <= set(successes(webhook))


async def test_a_scheduler_that_is_killed_is_followed_by_a_standby_that_misses_nothing(
    receiver: Receiver, create_task, scheduler, sender, start
):
    webhook = receiver.add()
    standby = await start("tocsin-dispatcher", "schedule")
    task = await create_task(webhook.url)
    await receiver.wait_until(lambda: len(webhook.posts) >= 2)

    await scheduler.kill()
    leading = await standby.logged("scheduler.leading")
    await receiver.wait_until(lambda: len(webhook.posts) >= 8)

    assert leading["epoch"] == 2
    owed = owed_until(task, max(post.arrived_at for post in webhook.posts[:8]))
    await receiver.wait_until(all_delivered(webhook, owed))
    assert set(successes(webhook).values()) == {1}


async def test_a_scheduler_that_is_stopped_hands_over_at_once(
    receiver: Receiver, create_task, scheduler, sender, start
):
    webhook = receiver.add()
    standby = await start("tocsin-dispatcher", "schedule")
    task = await create_task(webhook.url)
    await receiver.wait_until(lambda: len(webhook.posts) >= 2)

    status = await scheduler.stop()
    await standby.logged("scheduler.leading")
    await receiver.wait_until(lambda: len(webhook.posts) >= 6)

    assert status == 0
    owed = owed_until(task, max(post.arrived_at for post in webhook.posts[:6]))
    await receiver.wait_until(all_delivered(webhook, owed))
    assert set(successes(webhook).values()) == {1}


async def test_a_sender_that_is_killed_in_the_middle_of_a_post_loses_nothing(
    receiver: Receiver, create_task, scheduler, sender, start
):
    webhook = receiver.add(Script(first=(NO_ANSWER,)))
    task = await create_task(webhook.url)
    await receiver.wait_for_posts(1)

    await sender.kill()
    hung = webhook.posts[0].execution_id
    await (await start("tocsin-dispatcher", "send")).logged("sender.consuming")
    await receiver.wait_until(lambda: hung in successes(webhook), timeout_s=20)

    owed = owed_until(task, webhook.posts[-1].arrived_at)
    await receiver.wait_until(all_delivered(webhook, owed), timeout_s=20)
    assert set(successes(webhook).values()) == {1}


async def test_a_sender_that_is_stopped_finishes_its_posts(
    receiver: Receiver, create_task, scheduler, sender, start
):
    webhook = receiver.add(Script(delay_s=0.5))
    task = await create_task(webhook.url)
    await receiver.wait_for_posts(1)

    status = await sender.stop()

    assert status == 0
    first = webhook.posts[0]
    assert first.succeeded
    await (await start("tocsin-dispatcher", "send")).logged("sender.consuming")
    owed = owed_until(task, first.arrived_at)
    await receiver.wait_until(all_delivered(webhook, owed))
    assert successes(webhook)[first.execution_id] == 1


async def test_after_a_long_outage_the_newest_fires_and_the_rest_is_recorded_as_missed(
    receiver: Receiver, create_task, sender, start, database
):
    webhook = receiver.add()
    task = await create_task(webhook.url, schedule="*/10 * * * * *")
    # As if the task and the last leader's watermark were three hours old.
    past = "clock_timestamp() - interval '3 hours'"
    await database.execute(f"UPDATE task_revisions SET effective_from = {past}")  # noqa: S608 - a constant
    await database.execute(f"UPDATE tasks SET effective_from = {past}")  # noqa: S608 - a constant
    await database.execute(f"UPDATE scheduler_lease SET watermark = {past}")  # noqa: S608 - a constant

    scheduler = await start("tocsin-dispatcher", "schedule")
    await scheduler.logged("scheduler.catching_up")
    await receiver.wait_for_answers(7, timeout_s=20)

    missed = await database.fetchrow("SELECT * FROM executions WHERE state = 'missed'")
    fired = await database.fetchval("SELECT min(scheduled_for) FROM executions WHERE state <> 'missed'")
    assert str(missed["task_id"]) == task["id"]
    assert missed["missed_count"] is None  # over a thousand
    assert missed["scheduled_for"] + timedelta(seconds=10) == fired  # together they leave nothing out
    assert set(successes(webhook).values()) == {1}
