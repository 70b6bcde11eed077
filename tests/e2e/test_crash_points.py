"""Processes that die exactly between two steps of an execution's path, one test for each pair of steps.

Each test says what the dead process leaves behind, and then holds every row and every POST against what the
schedule owed: see `oracle`. The table in docs/architecture.md names the same failpoints.
"""

from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from e2e.conftest import API_KEY, client_of
from e2e.processes import free_port
from e2e.stage import Stage
from tocsin_common.messages import execution_id
from tocsin_common.topology import DEAD_QUEUE, tier_queue
from tocsin_local.script import Script

SWEEPS_SOON = {"SWEEP_PATIENCE_S": "1"}
KEEPS_CLAIMS = {"CLAIM_TTL_S": "60"}  # where a claim that runs out would be announced again, on a busy machine
NEVER_SWEEPS = {"SWEEP_OUTAGE_PATIENCE_S": "3600"}  # so that a test may look for as long as it takes


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """The sweeper announces nothing of what is merely late, but for tests that want it to."""
    return {
        **environment,
        "CLAIM_TTL_S": "2.5",
        "FEED_POLL_S": "0.5",
        "SWEEP_INTERVAL_S": "0.2",
        "SWEEP_PATIENCE_S": "30",
        "SWEEP_OUTAGE_PATIENCE_S": "0.2",
    }


HISTORY = """
INSERT INTO executions (scheduled_for, task_id, state, destination, next_at, give_up_at)
SELECT date_trunc('day', now(), 'UTC') + n * interval '1 ms', id, 'failed', destination, now(), now()
FROM tasks, generate_series(1, 600) n
"""
LEFT = "SELECT count(*) FROM executions e JOIN tasks t ON t.id = e.task_id WHERE t.name = $1"


async def left(stage: Stage, name: str) -> int:
    """How many executions of that task there are."""
    found: int = await stage.database.fetchval(LEFT, name)
    return found


async def is_gone(stage: Stage, name: str) -> bool:
    return await left(stage, name) == 0


def key(row) -> UUID:
    return execution_id(row["task_id"], row["scheduled_for"])


# --- The api ----------------------------------------------------------------------------------------------------


async def test_a_task_whose_hint_was_never_sent_is_scheduled_all_the_same(stage: Stage, start):
    await stage.start("schedule")
    await stage.start("send")
    port = free_port()
    armed = await start("tocsin-api", "serve", dies_at="api.task_committed", PORT=str(port), API_KEY=API_KEY)
    await stage.ready()
    await armed.logged("api.started")

    async with client_of(port) as client:
        with pytest.raises(httpx.TransportError):
            await client.post("/api/tasks", json=stage.new_task())
    await armed.died()

    assert await stage.database.fetchval("SELECT count(*) FROM task_revisions") == 1
    await stage.receiver.wait_for_answers(1)
    assert (await stage.settle()).problems() == []


# --- The scheduler ----------------------------------------------------------------------------------------------


async def test_an_instant_that_came_as_the_leader_died_is_emitted_by_the_next(stage: Stage):
    await stage.create_task()
    await stage.age()
    armed = await stage.start("schedule", dies_at="scheduler.rows_due", nth=2)
    await armed.died()

    [before] = await stage.rows()
    assert await stage.watermark() < before["scheduled_for"] + timedelta(seconds=1)

    await stage.start("schedule")
    await stage.start("send")
    account = await stage.settle()
    assert account.problems() == []
    assert before["scheduled_for"] + timedelta(seconds=1) in {row["scheduled_for"] for row in account.rows}


async def test_an_instant_that_was_committed_in_part_is_completed_by_the_next_leader(stage: Stage):
    for _ in range(3):
        await stage.create_task()
    await stage.age()
    armed = await stage.start("schedule", dies_at="scheduler.chunk_announced", EMISSION_CHUNK="1")
    await armed.died()

    instant = (await stage.rows())[-1]["scheduled_for"]
    assert await stage.watermark() < instant
    assert 1 <= len([row for row in await stage.rows() if row["scheduled_for"] == instant]) < 3

    await stage.start("schedule", EMISSION_CHUNK="1")
    await stage.start("send")
    assert (await stage.settle()).problems() == []


async def test_rows_that_were_not_announced_are_announced_by_the_sweeper(stage: Stage):
    await stage.create_task()
    await stage.age()
    armed = await stage.start("schedule", dies_at="scheduler.rows_committed")
    await armed.died()

    [row] = await stage.rows()
    assert (row["state"], await stage.watermark()) == ("due", row["scheduled_for"])
    assert await stage.announced() == []

    scheduler = await stage.start("schedule", **SWEEPS_SOON)
    await stage.start("send")
    assert (await stage.settle()).problems() == []
    await scheduler.logged("executions.announced_again")


async def test_an_instant_that_was_announced_is_not_announced_again(stage: Stage):
    await stage.create_task()
    await stage.age()
    armed = await stage.start("schedule", dies_at="scheduler.rows_announced", nth=2)
    await armed.died()

    rows = await stage.rows()
    assert await stage.announced() == [key(row) for row in rows]
    assert await stage.watermark() == rows[1]["scheduled_for"]

    await stage.start("schedule")
    sender = await stage.start("send", **KEEPS_CLAIMS)
    assert (await stage.settle()).problems() == []
    assert not sender.has_logged("jobs.dropped")


@pytest.mark.parametrize("failpoint", ["scheduler.gap_frozen", "scheduler.gap_emitted"])
async def test_the_next_leader_catches_up_as_the_dead_one_had_decided(stage: Stage, failpoint):
    await stage.create_task()
    await stage.age(timedelta(seconds=60))
    armed = await stage.start("schedule", dies_at=failpoint, CATCH_UP_GRACE_S="10")
    await armed.died()

    gap_until = await stage.database.fetchval("SELECT gap_until FROM scheduler_lease")
    left = {row["state"] for row in await stage.rows()}
    assert left == (set() if failpoint == "scheduler.gap_frozen" else {"due", "missed"})

    await stage.start("schedule", CATCH_UP_GRACE_S="10")
    await stage.start("send")
    account = await stage.settle()
    assert account.problems() == []
    missed = [row for row in account.rows if row["state"] == "missed"]
    decided = [item.scheduled_for for item in account.owed().values() if item.scheduled_for <= gap_until]
    assert missed[0]["missed_from"] == decided[0]
    assert missed[0]["scheduled_for"] == max(at for at in decided if at <= gap_until - timedelta(seconds=10))


async def test_a_task_that_is_stopped_before_the_next_leader_catches_up_keeps_its_missed_instants(stage: Stage):
    await stage.create_task()
    await stage.age(timedelta(seconds=60))
    armed = await stage.start("schedule", dies_at="scheduler.rows_announced", CATCH_UP_GRACE_S="10")
    await armed.died()
    await stage.stop_tasks()

    fired = await stage.rows("due")
    assert fired

    await stage.start("schedule", CATCH_UP_GRACE_S="10")
    await stage.start("send")
    account = await stage.settle()
    account = account._replace(settled_until=fired[-1]["scheduled_for"])
    cancelled = {key(row): "cancelled" for row in fired}
    assert account.problems(states=cancelled, answers=dict.fromkeys(cancelled, ())) == []


async def test_what_a_dead_sweeper_had_marked_is_announced_by_the_next(stage: Stage):
    await stage.create_task()
    await stage.age()
    armed = await stage.start("schedule", dies_at="scheduler.swept", **SWEEPS_SOON)
    await armed.died()

    swept = [row for row in await stage.rows("due") if row["sweeps"] == 1]
    assert key(swept[0]) in await stage.announced()  # what announced it first
    await stage.purge()

    await stage.start("schedule", **SWEEPS_SOON)
    await stage.start("send")
    assert (await stage.settle()).problems() == []


async def test_what_a_leader_left_of_a_deleted_task_is_removed_by_the_next(stage: Stage):
    armed = await stage.start("schedule", dies_at="scheduler.remains_removed")
    await stage.ready()
    await stage.create_task(schedule="0 0 0 1 1 *", name="deleted", status="INACTIVE")
    await stage.create_task(schedule="0 0 0 1 1 *", name="other", status="INACTIVE")
    await armed.logged("partition.made", count=2)  # today's
    await stage.database.execute(HISTORY)

    await stage.delete_task("deleted")
    await armed.died()

    assert 0 < await left(stage, "deleted") < 600
    await stage.start("schedule")
    await stage.eventually("nothing of it is left", lambda: is_gone(stage, "deleted"))
    assert await left(stage, "other") == 600


# --- The sender -------------------------------------------------------------------------------------------------


async def test_a_message_that_nobody_claimed_goes_to_the_next_sender(stage: Stage):
    await stage.start("schedule")
    armed = await stage.start("send", dies_at="sender.job_received")
    await stage.create_task()
    await armed.died()

    hit = (await stage.rows())[0]
    assert (hit["state"], hit["seq"]) == ("due", 0)
    assert key(hit) in await stage.announced()

    await stage.start("send")
    account = await stage.settle()
    assert account.problems() == []
    assert (account.rows[0]["seq"], account.rows[0]["lost_claims"]) == (1, 0)


async def test_a_claim_that_was_not_acked_runs_out_and_is_granted_again(stage: Stage):
    await stage.start("schedule")
    armed = await stage.start("send", dies_at="sender.claimed")
    await stage.create_task()
    await armed.died()

    hit = (await stage.rows())[0]
    assert (hit["state"], hit["seq"], stage.webhook.posts) == ("running", 1, [])
    assert key(hit) in await stage.announced()

    await stage.start("send")
    account = await stage.settle()
    assert account.problems() == []
    assert (account.rows[0]["seq"], account.rows[0]["lost_claims"]) == (2, 1)


async def test_a_claim_whose_message_was_acked_runs_out_and_is_granted_again(stage: Stage):
    scheduler = await stage.start("schedule", **NEVER_SWEEPS)
    armed = await stage.start("send", dies_at="sender.acked")
    await stage.create_task()
    await armed.died()

    hit = (await stage.rows())[0]
    assert (hit["state"], hit["seq"], stage.webhook.posts) == ("running", 1, [])
    assert key(hit) not in await stage.announced()

    await scheduler.stop()
    await stage.start("schedule")
    await stage.start("send")
    account = await stage.settle()
    assert account.problems() == []
    assert (account.rows[0]["seq"], account.rows[0]["lost_claims"]) == (2, 1)


async def test_an_answer_that_was_not_recorded_is_the_one_case_of_a_second_post(stage: Stage):
    await stage.start("schedule")
    armed = await stage.start("send", dies_at="sender.answered")
    await stage.create_task()
    await armed.died()

    hit = (await stage.rows())[0]
    assert (hit["state"], hit["seq"]) == ("running", 1)
    assert [(post.execution_id, post.status) for post in stage.webhook.posts] == [(key(hit), 200)]

    await stage.start("send")
    account = await stage.settle()
    assert account.problems(answers={key(hit): [200, 200]}) == []
    assert (account.rows[0]["seq"], account.rows[0]["lost_claims"]) == (2, 1)
    assert await stage.logged_attempts(hit) == [(2, "SUCCESS")]


async def test_a_retry_that_was_not_published_is_announced_by_the_sweeper(stage: Stage):
    stage.webhook.script = Script(first=(500,))
    scheduler = await stage.start("schedule", **NEVER_SWEEPS)
    armed = await stage.start("send", dies_at="sender.recorded")
    await stage.create_task()
    await armed.died()

    hit = (await stage.rows())[0]
    assert (hit["state"], hit["seq"], hit["failures"]) == ("waiting", 1, 1)
    assert await stage.announced(tier_queue(1)) == []

    await scheduler.stop()
    await stage.start("schedule", **SWEEPS_SOON)
    await stage.start("send")
    account = await stage.settle()
    assert account.problems(answers={key(hit): [500, 200]}) == []
    assert (account.rows[0]["seq"], account.rows[0]["failures"]) == (2, 1)
    assert await stage.logged_attempts(hit) == [(1, "RETRYING"), (2, "SUCCESS")]


async def test_a_retry_that_was_published_comes_back_through_its_tier(stage: Stage):
    stage.webhook.script = Script(first=(500,))
    await stage.start("schedule")
    armed = await stage.start("send", dies_at="sender.in_tier")
    await stage.create_task()
    await armed.died()

    hit = (await stage.rows())[0]
    assert (hit["state"], hit["seq"], hit["failures"]) == ("waiting", 1, 1)

    fresh = await stage.start("send", **KEEPS_CLAIMS)
    account = await stage.settle()
    assert account.problems(answers={key(hit): [500, 200]}) == []
    assert (account.rows[0]["seq"], account.rows[0]["failures"]) == (2, 1)
    assert not fresh.has_logged("jobs.dropped")


async def test_a_failure_that_was_not_reported_stays_recorded(stage: Stage):
    stage.webhook.script = Script(first=(400,))
    await stage.start("schedule")
    armed = await stage.start("send", dies_at="sender.recorded")
    await stage.create_task()
    await armed.died()

    hit = (await stage.rows())[0]
    assert (hit["state"], await stage.announced(DEAD_QUEUE)) == ("failed", [])

    await stage.start("send")
    account = await stage.settle()
    assert account.problems(answers={key(hit): [400]}, states={key(hit): "failed"}) == []
    assert await stage.logged_attempts(hit) == [(1, "FAILED")]


async def test_a_webhook_that_is_gone_stops_its_tasks_at_the_next_attempt(stage: Stage):
    stage.receiver.remove(stage.webhook)
    await stage.start("schedule")
    armed = await stage.start("send", dies_at="sender.recorded")
    await stage.create_task()
    await armed.died()

    hit = (await stage.rows())[0]
    assert hit["state"] == "failed"
    assert await stage.database.fetchval("SELECT status FROM tasks") == "ACTIVE"

    fresh = await stage.start("send")
    await fresh.logged("tasks.failed")
    assert await stage.database.fetchval("SELECT status FROM tasks") == "FAILED"
    account = await stage.settle()
    account = account._replace(settled_until=hit["scheduled_for"])  # what came later, the stop may have cancelled
    answers, states = dict.fromkeys(account.owed(), (404,)), dict.fromkeys(account.owed(), "failed")
    assert account.problems(answers=answers, states=states) == []


async def test_a_slot_that_nothing_brings_back_is_announced_by_the_sweeper(stage: Stage):
    armed = await stage.start("send", dies_at="sender.parked", IN_FLIGHT_PER_DESTINATION="1", MEMORY_WAITS="1")
    for _ in range(3):  # one begins, one waits for it, and one is too many for that
        await stage.create_task()
    await stage.age()
    scheduler = await stage.start("schedule", **NEVER_SWEEPS)
    await armed.died()

    parked = await stage.rows("waiting")
    assert {row["seq"] for row in parked} == {0}
    assert not {key(row) for row in parked} & {*await stage.announced(), *await stage.announced(tier_queue(1))}

    await scheduler.stop()
    await stage.start("schedule", **SWEEPS_SOON)
    await stage.start("send", IN_FLIGHT_PER_DESTINATION="1")
    assert (await stage.settle()).problems() == []
