"""Processes killed and stopped in the middle of work: nothing owed is lost, nothing recorded is posted again.

Here the moment is not chosen, or lies outside the process: `test_crash_points` has the exact ones.
"""

import asyncio
from datetime import timedelta

import pytest

from e2e.conftest import Start
from e2e.stage import Role, Stage
from tocsin_common.failpoints import Failpoint
from tocsin_local.script import NO_ANSWER, Script

ENDS_WITHIN_S = 30


async def test_a_scheduler_that_is_killed_is_followed_by_a_standby_that_misses_nothing(stage: Stage, start):
    scheduler = await stage.start("schedule")
    await stage.start("send")
    await stage.create_task()
    standby = await start("tocsin-dispatcher", "schedule")
    await standby.logged("scheduler.started")
    await stage.receiver.wait_for_answers(1)

    await scheduler.kill()
    leading = await standby.logged("scheduler.leading")

    assert leading["epoch"] == 2
    assert (await stage.settle()).problems() == []


async def test_a_scheduler_that_is_stopped_hands_over_at_once(stage: Stage, start):
    scheduler = await stage.start("schedule", LEASE_TTL_S="60")
    await stage.start("send")
    await stage.create_task()
    standby = await start("tocsin-dispatcher", "schedule")
    await standby.logged("scheduler.started")
    await stage.receiver.wait_for_answers(1)

    status = await scheduler.stop()
    await standby.logged("scheduler.leading")

    assert status == 0
    assert (await stage.settle()).problems() == []


async def test_a_sender_that_is_killed_in_the_middle_of_a_post_loses_nothing(stage: Stage):
    stage.webhook.script = Script(first=(NO_ANSWER,))
    await stage.start("schedule")
    sender = await stage.start("send")
    await stage.create_task()
    await stage.receiver.wait_for_posts(1)

    await sender.kill()
    hung = stage.webhook.posts[0].execution_id
    await stage.start("send")

    assert (await stage.settle()).problems(answers={hung: (None, 200)}) == []


async def test_a_sender_that_is_stopped_finishes_its_posts(stage: Stage):
    stage.webhook.script = Script(delay_s=0.5)
    await stage.start("schedule")
    sender = await stage.start("send")
    await stage.create_task()
    await stage.receiver.wait_for_posts(1)

    status = await sender.stop()
    answered = stage.webhook.posts[0].succeeded
    await stage.start("send")

    assert (status, answered) == (0, True)
    assert (await stage.settle()).problems() == []


@pytest.mark.parametrize(
    ("role", "other", "failpoint", "loop"),
    [
        pytest.param("send", "schedule", "sender.claimed", "claiming", id="sender"),
        pytest.param("schedule", "send", "scheduler.rows_due", "leading", id="leader"),
        pytest.param("schedule", None, "scheduler.swept", "sweeping", id="sweeper"),
    ],
)
async def test_a_process_in_which_a_loop_ends_by_itself_ends_with_an_error_and_loses_nothing(
    stage: Stage, start: Start, role: Role, other: Role | None, failpoint: Failpoint, loop: str
):
    if other is not None:
        await stage.start(other)
    process = await start("tocsin-dispatcher", role, cancels_at=failpoint, SWEEP_PATIENCE_S="0.1")
    await stage.create_task()

    status = await asyncio.wait_for(process.ended(), ENDS_WITHIN_S)
    for dispatcher in ("schedule", "send"):
        if dispatcher != other:
            await stage.start(dispatcher)

    assert status == 1
    assert [line["loops"] for line in process.all_logged("loop.ended")] == [[loop]]
    assert (await stage.settle()).problems() == []


async def test_after_a_long_outage_the_newest_fires_and_the_rest_is_recorded_as_missed(stage: Stage):
    await stage.create_task(schedule="*/10 * * * * *")
    await stage.age(timedelta(hours=3))

    scheduler = await stage.start("schedule")
    await stage.start("send")
    await scheduler.logged("scheduler.catching_up")
    account = await stage.settle()

    assert account.problems() == []
    [missed] = [row for row in account.rows if row["state"] == "missed"]
    assert missed["missed_count"] is None  # over a thousand
    assert missed["missed_from"] == min(item.scheduled_for for item in account.owed().values())
    assert len(account.rows) >= 7
