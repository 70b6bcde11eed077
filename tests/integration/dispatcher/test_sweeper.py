"""The sweeper on a real database and broker: the rows bring back what messages lost."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import asyncpg
import pytest
from aio_pika.abc import AbstractRobustConnection

from tocsin_common import topology
from tocsin_common.messages import JobMessage, decode_jobs
from tocsin_common.settings import SchedulerSettings
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.scheduler.lease import Lease
from tocsin_dispatcher.scheduler.sweeper import Sweeper

from .conftest import DAY

PATIENCE_S = 30


@pytest.fixture
def new_sweeper(
    pool: asyncpg.Pool, publisher: Publisher, scheduler_settings: Callable[..., SchedulerSettings]
) -> Callable[..., Sweeper]:
    async def build(*, leads: bool = True, **settings: float) -> Sweeper:
        lease = Lease(pool, DatabaseClock(), holder="leader", ttl_s=30, renew_s=1, hold_s=20, reboot_after_s=60)
        if leads:
            await lease.take()
        return Sweeper(pool, lease, publisher, scheduler_settings(sweep_patience_s=PATIENCE_S, **settings))

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


async def test_the_sweeper_is_quiet_while_the_work_queue_is_deep(
    new_sweeper, add_execution, add_task, publisher: Publisher, connection: AbstractRobustConnection
):
    job = await add_execution(await add_task(), next_in_s=-3600)
    await publisher.publish_all(JobMessage(jobs=[job]) for _ in range(3))
    sweeper = await new_sweeper(sweep_quiet_depth=2)

    while_deep = await sweeper.announce_again()
    channel = await connection.channel()
    _, queue = await topology.declare_jobs(channel)
    await queue.purge()
    afterwards = await sweeper.announce_again()

    assert (while_deep, afterwards) == (0, 1)


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
