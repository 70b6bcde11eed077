"""What a task says of when it runs, held against what arrives, with real processes on real servers."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from e2e.processes import Tocsin
from tocsin_common.messages import execution_id
from tocsin_local.receiver import Receiver
from tocsin_local.script import LocalWebhook, Script
from waiting import eventually

SECOND = timedelta(seconds=1)


@pytest.fixture
def has_status(api) -> Callable[[dict[str, Any], str], Awaitable[dict[str, Any]]]:
    """The task, once it has a status."""

    async def look(task: dict[str, Any], status: str) -> dict[str, Any] | None:
        shown: dict[str, Any] = (await api.get(f"/api/tasks/{task['id']}")).json()
        return shown if shown["status"] == status else None

    async def wait(task: dict[str, Any], status: str) -> dict[str, Any]:
        found: dict[str, Any] = await eventually(lambda: look(task, status))
        return found

    return wait


def whole_second(seconds_ahead: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + seconds_ahead * SECOND


def ids(task: dict[str, Any], *instants: datetime) -> set[UUID]:
    return {execution_id(UUID(task["id"]), instant) for instant in instants}


def posted(webhook: LocalWebhook) -> list[UUID | None]:
    return [post.execution_id for post in webhook.posts]


@pytest.mark.parametrize(("status", "ended"), [(200, "succeeded"), (500, "failed")])
async def test_a_one_off_is_posted_at_its_instant_and_its_task_ends_with_a_reason(
    receiver: Receiver, create_task, executions, has_status, status: int, ended: str
):
    webhook = receiver.add(Script(then=status))
    run_at = datetime.now(UTC) + 3 * SECOND
    task = await create_task(webhook.url, schedule=None, runAt=run_at.isoformat(), maxRetry=0)

    finished = await has_status(task, "INACTIVE")

    [row] = await executions(task, ended)
    assert finished["statusReason"] == f"its one run ended: {ended}"
    assert (row["kind"], row["scheduled_for"]) == ("once", run_at)
    assert set(posted(webhook)) == ids(task, run_at)
    assert len(webhook.posts) == 1
    assert webhook.posts[0].arrived_at >= run_at


async def test_a_one_off_whose_instant_was_moved_is_posted_at_the_new_one_only(
    receiver: Receiver, create_task, api, has_status
):
    webhook = receiver.add()
    task = await create_task(webhook.url, schedule=None, runAt="2030-01-31T09:00:00Z")
    run_at = datetime.now(UTC) + 3 * SECOND

    await api.patch(f"/api/tasks/{task['id']}", json={"runAt": run_at.isoformat()})
    await has_status(task, "INACTIVE")

    assert posted(webhook) == list(ids(task, run_at))
    started = await api.post(f"/api/tasks/{task['id']}/toggle")
    assert started.status_code == 409


async def test_a_task_is_posted_within_its_window_only_and_both_ends_count(
    receiver: Receiver, create_task, api, executions
):
    webhook, other = receiver.add(), receiver.add()
    starts_at = whole_second(4)
    ends_at = starts_at + 2 * SECOND
    always = await create_task(other.url)
    window = {"startsAt": starts_at.isoformat(), "endsAt": ends_at.isoformat()}
    task = await create_task(webhook.url, **window)

    owed = ids(task, starts_at, starts_at + SECOND, ends_at)
    afterwards = ids(always, ends_at + SECOND, ends_at + 2 * SECOND)
    await receiver.wait_until(lambda: owed <= set(posted(webhook)) and afterwards <= set(posted(other)))

    assert sorted(map(str, posted(webhook))) == sorted(map(str, owed))
    assert len(await executions(task, "due", "waiting", "running", "succeeded", "missed")) == 3
    assert (await api.get(f"/api/tasks/{task['id']}")).json()["status"] == "ACTIVE"


async def test_a_schedule_means_the_time_of_its_zone(receiver: Receiver, create_task):
    webhook = receiver.add()
    instant = whole_second(4)
    local = instant.astimezone(ZoneInfo("Asia/Kathmandu"))
    schedule = f"{local.second} {local.minute} {local.hour} * * *"

    task = await create_task(webhook.url, schedule=schedule, timezone="Asia/Kathmandu")
    await receiver.wait_for_answers(1)

    assert posted(webhook) == list(ids(task, instant))
    assert webhook.posts[0].arrived_at >= instant


async def test_a_jittered_execution_is_posted_after_the_delay_that_its_row_names(
    receiver: Receiver, create_task, executions, sender: Tocsin
):
    webhook = receiver.add()
    task = await create_task(webhook.url, jitterSeconds=3)

    async def enough() -> Any:
        rows = await executions(task, "succeeded")
        return rows if len(rows) >= 4 else None

    rows = await eventually(enough)

    arrived_at = {post.execution_id: post.arrived_at for post in webhook.posts}
    for row in rows:
        delay = timedelta(milliseconds=row["jitter_ms"])
        assert timedelta(0) <= delay < 3 * SECOND
        assert row["scheduled_for"].microsecond == 0
        [id_] = ids(task, row["scheduled_for"])
        assert arrived_at[id_] >= row["scheduled_for"] + delay
        [attempt] = await eventually(partial(attempts, sender, id_))  # its line may come after the row
        lateness = timedelta(milliseconds=attempt["lateness_ms"])
        assert timedelta(0) <= lateness <= arrived_at[id_] - row["scheduled_for"] - delay
    assert len({row["jitter_ms"] for row in rows}) > 1


async def attempts(sender: Tocsin, id_: UUID) -> list[dict[str, Any]]:
    return [line for line in sender.all_logged("attempt.finished") if line["execution_id"] == str(id_)]


async def test_a_task_that_must_not_overlap_skips_what_comes_while_a_retry_is_to_go(
    receiver: Receiver, create_task, executions
):
    webhook = receiver.add(Script(each=(500, 500)))
    task = await create_task(webhook.url, overlap="skip")

    await eventually(lambda: executions(task, "skipped"))
    [done, *_] = await eventually(lambda: executions(task, "succeeded"))

    skipped = await executions(task, "skipped")
    assert done["seq"] == 3
    assert done["scheduled_for"] < skipped[0]["scheduled_for"]
    assert ids(task, *(row["scheduled_for"] for row in skipped)).isdisjoint(posted(webhook))
