"""The sweeper on a real database and broker: the rows bring back what messages lost."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
from aio_pika.abc import AbstractRobustConnection

from tocsin_common import topology
from tocsin_common.messages import JobMessage, decode_jobs, execution_id, iso_utc
from tocsin_common.settings import SchedulerSettings
from tocsin_common.tables import OPEN_STATES, TERMINAL_STATES
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.scheduler.lease import Lease
from tocsin_dispatcher.scheduler.partitions import Partitions, Retention
from tocsin_dispatcher.scheduler.sweeper import Sweeper
from waiting import WAIT_S, becomes_true

from .conftest import DAY, counted

PATIENCE_S = 30
KEEPS_ALL = Partitions(None)  # type: ignore[arg-type]  # it makes none here
LATER = DAY + timedelta(seconds=1)


@pytest.fixture
def new_sweeper(
    pool: asyncpg.Pool, publisher: Publisher, scheduler_settings: Callable[..., SchedulerSettings]
) -> Callable[..., Sweeper]:
    async def build(*, leads: bool = True, partitions: Partitions = KEEPS_ALL, **settings: float) -> Sweeper:
        lease = Lease(pool, DatabaseClock(), holder="leader", ttl_s=30, renew_s=1, hold_s=20, reboot_after_s=60)
        if leads:
            await lease.take()
        return Sweeper(
            pool, lease, partitions, publisher, scheduler_settings(sweep_patience_s=PATIENCE_S, **settings)
        )

    return build


@pytest.mark.parametrize(
    ("state", "overdue_s", "is_announced"),
    [
        ("due", PATIENCE_S + 1, True),
        ("due", PATIENCE_S - 5, False),
        ("waiting", PATIENCE_S + 1, True),
        ("waiting", PATIENCE_S - 5, False),
        ("running", 1, True),  # the claim has expired
        ("running", -5, False),  # a sender has it
        ("succeeded", PATIENCE_S + 1, False),
        ("failed", PATIENCE_S + 1, False),
        ("cancelled", PATIENCE_S + 1, False),
    ],
)
async def test_what_is_overdue_is_announced_again(
    new_sweeper, add_execution, add_task, state, overdue_s, is_announced
):
    await add_execution(await add_task(), state=state, next_in_s=-overdue_s)
    sweeper = await new_sweeper()

    announced = await sweeper.announce_again()

    assert announced == int(is_announced)


async def test_each_further_time_takes_twice_the_patience(
    new_sweeper, add_execution, add_task, pool: asyncpg.Pool
):
    await add_execution(await add_task(), next_in_s=-PATIENCE_S - 1)
    sweeper = await new_sweeper()
    announced = [await sweeper.announce_again()]
    announced.append(await sweeper.announce_again())

    await pool.execute("UPDATE executions SET next_at = next_at - make_interval(secs => $1)", PATIENCE_S)
    announced.append(await sweeper.announce_again())

    assert announced == [1, 0, 1]


async def test_an_expired_claim_travels_alone(
    new_sweeper, add_execution, add_task, connection: AbstractRobustConnection
):
    task_id = await add_task()
    for second in range(3):
        await add_execution(task_id, DAY + timedelta(seconds=second), state="running", next_in_s=-1, seq=1)
    for second in range(3, 6):
        await add_execution(task_id, DAY + timedelta(seconds=second), next_in_s=-PATIENCE_S - 1)
    sweeper = await new_sweeper()

    await sweeper.announce_again()

    sizes = []
    channel = await connection.channel()
    _, queue = await topology.declare_jobs(channel)
    async with asyncio.timeout(10), queue.iterator(no_ack=True) as messages:
        async for message in messages:
            sizes.append(len(decode_jobs(message.body).jobs))
            if sum(sizes) == 6:
                break
    assert sorted(sizes) == [1, 1, 1, 3]


async def test_nothing_is_swept_by_a_scheduler_that_does_not_lead(new_sweeper, add_execution, add_task):
    await add_execution(await add_task(), next_in_s=-3600, give_up_in_s=-1)
    sweeper = await new_sweeper(leads=False)

    assert await sweeper.announce_again() == 0
    assert await sweeper.give_up() == 0


async def test_while_the_work_queue_is_deep_only_expired_claims_are_announced_and_once(
    new_sweeper, add_execution, add_task, publisher: Publisher, connection: AbstractRobustConnection
):
    task_id = await add_task()
    job = await add_execution(task_id, next_in_s=-3600)
    await publisher.publish_all(JobMessage(jobs=[job]) for _ in range(3))
    sweeper = await new_sweeper(sweep_quiet_depth=2)

    while_deep = [await sweeper.announce_again()]
    await add_execution(task_id, DAY + timedelta(seconds=1), state="running", next_in_s=-1, seq=1)
    while_deep += [await sweeper.announce_again(), await sweeper.announce_again()]
    channel = await connection.channel()
    _, queue = await topology.declare_jobs(channel)
    await queue.purge()
    afterwards = await sweeper.announce_again()

    assert (while_deep, afterwards) == ([0, 1, 0], 1)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"state": "running", "lost_claims": 4, "next_in_s": -1}, "given up: lost claims"),
        ({"state": "waiting", "give_up_in_s": -1}, "given up: too old"),
        ({"state": "due", "give_up_in_s": -1}, "given up: too old"),
        ({"state": "running", "give_up_in_s": -1, "next_in_s": -1}, "given up: too old"),
        ({"state": "running", "give_up_in_s": -1, "next_in_s": 20}, None),  # its claim is alive
        ({"state": "running", "lost_claims": 3, "next_in_s": -1}, None),
        ({"state": "succeeded", "give_up_in_s": -1}, None),
    ],
)
async def test_what_is_hopeless_fails_with_its_reason(new_sweeper, add_execution, add_task, pool, row, reason):
    await add_execution(await add_task(), **row)
    sweeper = await new_sweeper()

    given_up = await sweeper.give_up()

    assert given_up == (reason is not None)
    assert await pool.fetchval("SELECT reason FROM executions WHERE state = 'failed'") == reason


async def test_a_sweep_takes_no_more_than_its_batch_and_the_longest_overdue_first(
    new_sweeper, add_execution, add_task, pool
):
    task_id = await add_task()
    for second in range(5):
        at = DAY + timedelta(seconds=second)
        await add_execution(task_id, at, next_in_s=second - 3600, give_up_in_s=second - 60)
    sweeper = await new_sweeper(sweep_batch=2)

    assert (await sweeper.announce_again(), await sweeper.give_up()) == (2, 2)

    swept = await pool.fetch("SELECT sweeps, state FROM executions ORDER BY scheduled_for")
    assert [tuple(row) for row in swept] == [(1, "failed")] * 2 + [(0, "due")] * 3


async def test_what_is_given_up_is_shown_to_operators(
    new_sweeper, add_execution, add_task, connection: AbstractRobustConnection
):
    job = await add_execution(await add_task(), give_up_in_s=-1, failures=2)
    before = counted("executions_given_up")

    await (await new_sweeper()).give_up()

    channel = await connection.channel()
    queue = await channel.get_queue(topology.DEAD_QUEUE)
    async with asyncio.timeout(WAIT_S), queue.iterator(no_ack=True) as messages:
        message = await anext(messages)
    assert decode_jobs(message.body).jobs == [job]
    assert message.headers == {
        "reason": "given up: too old",
        "failures": 2,
        "task-id": str(job.task_id),
        "execution-id": str(execution_id(job.task_id, job.scheduled_for)),
        "scheduled-for": iso_utc(job.scheduled_for),
        "jobs": 1,
    }
    assert counted("executions_given_up") == before + 1


async def test_what_is_announced_again_is_counted(new_sweeper, add_execution, add_task):
    task_id = await add_task()
    for at in (DAY, LATER):
        await add_execution(task_id, at, next_in_s=-3600)
    before = counted("executions_announced_again")

    await (await new_sweeper()).announce_again()

    assert counted("executions_announced_again") == before + 2


async def test_the_sweeper_is_patient_when_a_term_begins(new_sweeper, add_execution, add_task, pool):
    """Each outage of the database ends a term: senders then record first what they know."""
    await add_execution(await add_task(), next_in_s=-3600)
    sweeper = await new_sweeper(sweep_outage_patience_s=0.5, sweep_interval_s=0.01)
    loop = asyncio.get_running_loop()
    begun = loop.time()

    sweeping = asyncio.create_task(sweeper.run())
    await becomes_true(pool, "SELECT sweeps > 0 FROM executions")

    assert loop.time() - begun >= 0.5
    sweeping.cancel()
    await asyncio.wait({sweeping})


@pytest.mark.parametrize("state", TERMINAL_STATES)
async def test_a_task_whose_one_run_has_ended_becomes_inactive(new_sweeper, add_execution, add_task, pool, state):
    task_id = await add_task(run_at=DAY)
    await add_execution(task_id, DAY, kind="once", state=state)

    finished = await (await new_sweeper()).finish_once()

    assert finished == 1
    assert await of_task(pool, task_id) == ("INACTIVE", f"its one run ended: {state}", 2)


@pytest.mark.parametrize(
    ("task", "at", "state"),
    [
        *(({"run_at": DAY}, DAY, state) for state in OPEN_STATES),
        ({"run_at": DAY}, LATER, "succeeded"),  # a manual execution, or the instant before an edit
        ({}, DAY, "succeeded"),  # it has a schedule
        ({"run_at": DAY, "status": "FAILED"}, DAY, "succeeded"),
        ({"run_at": DAY, "status": "DELETED"}, DAY, "succeeded"),
    ],
)
async def test_other_tasks_stay_as_they_are(new_sweeper, add_execution, add_task, pool, task, at, state):
    task_id = await add_task(**task)
    await add_execution(task_id, at, state=state)

    finished = await (await new_sweeper()).finish_once()

    assert finished == 0
    assert await of_task(pool, task_id) == (task.get("status", "ACTIVE"), None, 1)


async def test_tasks_are_finished_in_batches_past_those_that_still_run(new_sweeper, add_execution, add_task, pool):
    running = await add_task(run_at=DAY)
    await add_execution(running, DAY, state="running", seq=1, next_in_s=20)
    for second in range(1, 4):
        at = DAY + timedelta(seconds=second)
        await add_execution(await add_task(run_at=at), at, state="succeeded")
    sweeper = await new_sweeper(sweep_batch=2)

    finished = [await sweeper.finish_once() for _ in range(3)]

    assert finished == [2, 1, 0]
    assert await of_task(pool, running) == ("ACTIVE", None, 1)


async def test_a_one_off_that_lies_before_what_is_kept_is_finished_although_it_left_no_row(
    new_sweeper, add_task, pool, clock
):
    keeps_a_week = Partitions(pool, Retention(clock, 7))
    too_old = await add_task(run_at=clock.now() - timedelta(days=10))
    recent = await add_task(run_at=clock.now() - timedelta(days=5))

    finished = await (await new_sweeper(partitions=keeps_a_week)).finish_once()

    assert finished == 1
    assert await of_task(pool, too_old) == ("INACTIVE", "its one run is older than what is kept", 2)
    assert await of_task(pool, recent) == ("ACTIVE", None, 1)


async def test_no_task_is_finished_by_a_scheduler_that_does_not_lead(new_sweeper, add_execution, add_task, pool):
    task_id = await add_task(run_at=DAY)
    await add_execution(task_id, DAY, state="succeeded")

    assert await (await new_sweeper(leads=False)).finish_once() == 0

    assert await of_task(pool, task_id) == ("ACTIVE", None, 1)


async def test_every_sweep_gives_up_finishes_and_announces(new_sweeper, add_execution, add_task, pool):
    one_off, hopeless, overdue = await add_task(run_at=DAY), await add_task(), await add_task()
    await add_execution(one_off, DAY, state="succeeded")
    await add_execution(hopeless, DAY, give_up_in_s=-1)
    await add_execution(overdue, DAY, next_in_s=-3600)
    sweeper = await new_sweeper(sweep_outage_patience_s=0.01, sweep_interval_s=0.01)

    sweeping = asyncio.create_task(sweeper.run())

    await becomes_true(pool, "SELECT status = 'INACTIVE' FROM tasks WHERE id = $1", one_off)
    await becomes_true(pool, "SELECT state = 'failed' FROM executions WHERE task_id = $1", hopeless)
    await becomes_true(pool, "SELECT sweeps > 0 FROM executions WHERE task_id = $1", overdue)
    sweeping.cancel()
    await asyncio.wait({sweeping})


async def of_task(pool: asyncpg.Pool, task_id: UUID) -> tuple[str, str | None, int]:
    return tuple(await pool.fetchrow("SELECT status, status_reason, revision FROM tasks WHERE id = $1", task_id))
