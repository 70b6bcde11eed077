"""RabbitMQ is hit by those who operate it: alarms, and queues that are emptied or gone."""

import asyncio
from datetime import UTC, datetime
from functools import partial

from faults.matrix.evidence import ROOT_VHOST
from faults.matrix.fault import Burst, Fault
from faults.matrix.scene import Scene
from faults.operators import Alarm
from tocsin_common.topology import JOBS_EXCHANGE, WORK_QUEUE

ALARM_S = 60
PURGES = 5
BURSTS = Burst(500, 10)


async def ring(kind: Alarm, seconds: float, scene: Scene) -> None:
    """Nobody can publish meanwhile."""
    async with scene.rabbitmq.operator.alarm(kind):
        await asyncio.sleep(seconds)


async def purge(scene: Scene) -> None:
    """Each time in a burst, when its first jobs have been sent."""
    lost = sum([await purge_once(scene) for _ in range(PURGES)])
    scene.hit(lost, PURGES, "purges threw jobs away")


async def purge_once(scene: Scene) -> bool:
    """Whether it threw jobs away."""
    leader = await scene.leader()
    await asyncio.sleep(scene.burst.until_next_s(datetime.now(UTC)))
    await scene.lines.of(leader.name, "broker").hears(JOBS_EXCHANGE.encode())
    return await scene.rabbitmq.operator.purge(WORK_QUEUE) > 0


async def delete_queues(scene: Scene) -> None:
    """Work, tiers, dead: every one that somebody other than its consumer may delete."""
    for queue in await scene.rabbitmq.operator.queues(ROOT_VHOST):
        await scene.rabbitmq.operator.delete(ROOT_VHOST, queue)


ROWS = (
    Fault(
        "broker_memory_alarm",
        f"RabbitMQ's memory alarm rings for {ALARM_S} s: nobody can publish",
        partial(ring, "memory", ALARM_S),
        bound_s=60,
    ),
    Fault(
        "work_queue_purged",
        f"An operator purges the work queue while jobs are published, {PURGES} times",
        purge,
        bound_s=90,
        settings={"JOBS_PER_MESSAGE": "1"},
        burst=BURSTS,
    ),
    Fault("every_queue_deleted", "An operator deletes every queue", delete_queues, bound_s=90),
)
