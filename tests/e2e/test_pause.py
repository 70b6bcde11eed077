"""A pause of all schedules, with real processes on real servers."""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from e2e.conftest import run
from e2e.processes import Tocsin
from tocsin_common import schedule
from tocsin_common.messages import execution_id
from tocsin_local.receiver import Receiver
from waiting import eventually

pytestmark = pytest.mark.usefixtures("sender")

TICK = timedelta(microseconds=1)


Stands = Callable[[float], Awaitable[dict[str, Any]]]


@pytest.fixture
def stands_still(api) -> Stands:
    """The scheduler's state, once its watermark has stood still so long. Else that moves twice a second."""

    async def look(lag_s: float) -> dict[str, Any] | None:
        state: dict[str, Any] = (await api.get("/api/scheduler")).json()
        return state if state["lagSeconds"] >= lag_s else None

    async def wait(lag_s: float) -> dict[str, Any]:
        state: dict[str, Any] = await eventually(lambda: look(lag_s))
        return state

    return wait


async def post(api: httpx.AsyncClient, action: str) -> dict[str, Any]:
    answer = await api.post(f"/api/scheduler/{action}")
    assert answer.status_code == 200
    state: dict[str, Any] = answer.json()
    return state


async def clock(database: asyncpg.Connection) -> datetime:
    now: datetime = await database.fetchval("SELECT clock_timestamp()")
    return now


def owed_between(task: dict[str, Any], start: datetime, end: datetime) -> list[datetime]:
    instants = schedule.instants(task["schedule"], "UTC", start=start)
    return list(takewhile(lambda instant: instant <= end, instants))


@pytest.mark.usefixtures("scheduler")
async def test_nothing_is_emitted_in_a_pause_and_what_it_held_up_follows(
    receiver: Receiver, create_task, api, executions, database: asyncpg.Connection, stands_still: Stands
):
    webhook = receiver.add()
    task = await create_task(webhook.url)
    await receiver.wait_for_answers(1)

    paused = await post(api, "pause")
    state = await stands_still(3)
    emitted = await database.fetch("SELECT scheduled_for FROM executions ORDER BY 1")
    resumed_at = await clock(database)
    resumed = await post(api, "resume")

    watermark = datetime.fromisoformat(state["watermark"])
    assert (paused["paused"], state["paused"], resumed["paused"]) == (True, True, False)
    assert state["leader"].startswith("tocsin-scheduler@")
    assert (state["tasks"], state["schedules"]) == (1, 1)
    assert emitted[-1]["scheduled_for"] <= watermark
    held_up = owed_between(task, watermark + TICK, resumed_at)
    assert len(held_up) >= 2
    expected = {execution_id(UUID(task["id"]), instant) for instant in held_up}
    await receiver.wait_until(lambda: expected <= {each.execution_id for each in webhook.posts})
    assert {count for id_, count in Counter(each.execution_id for each in webhook.posts).items()} == {1}


async def test_a_pause_outlives_the_leader_and_stops_no_run_by_hand(
    receiver: Receiver, start, create_task, api, scheduler: Tocsin, executions, stands_still: Stands
):
    webhook = receiver.add()
    await post(api, "pause")
    task = await create_task(webhook.url)
    await scheduler.stop()
    next_scheduler = await start("tocsin-dispatcher", "schedule")
    await next_scheduler.logged("scheduler.leading")

    await stands_still(2)
    execution = await run(api, task)
    await receiver.wait_for_answers(1)

    [row] = await executions(task, "due", "running", "succeeded")
    assert row["kind"] == "manual"
    assert [str(each.execution_id) for each in webhook.posts] == [execution["executionId"]]


async def test_what_a_long_pause_held_up_follows_by_each_tasks_policy(
    receiver: Receiver, start, create_task, api, executions, database: asyncpg.Connection
):
    webhook = receiver.add()
    await post(api, "pause")
    every, none = [await create_task(webhook.url, catchUp=policy) for policy in ("all", "skip")]
    await age(database, timedelta(seconds=20))
    scheduler = await start("tocsin-dispatcher", "schedule", CATCH_UP_GRACE_S="5")
    await scheduler.logged("scheduler.leading")

    await post(api, "resume")
    await scheduler.logged("executions.missed")

    [missed] = await executions(none, "missed")
    too_old = owed_between(every, missed["missed_from"], missed["scheduled_for"])
    assert len(too_old) == missed["missed_count"] >= 14
    expected = {execution_id(UUID(every["id"]), instant) for instant in too_old}
    await receiver.wait_until(lambda: expected <= {each.execution_id for each in webhook.posts})
    skipped = {execution_id(UUID(none["id"]), instant) for instant in too_old}
    assert skipped.isdisjoint({each.execution_id for each in webhook.posts})
    assert await executions(every, "missed") == []


async def age(database: asyncpg.Connection, by: timedelta) -> None:
    """As if the pause, and the tasks, were so much older, and nobody had led since."""
    past = await database.fetchval("SELECT clock_timestamp() - $1::interval", by)
    await database.execute("UPDATE task_revisions SET effective_from = $1", past)
    await database.execute("UPDATE tasks SET effective_from = $1", past)
    await database.execute("UPDATE scheduler_lease SET watermark = $1", past)
