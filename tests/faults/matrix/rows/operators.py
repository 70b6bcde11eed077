"""RabbitMQ is hit by those who operate it: alarms, and queues that are emptied or gone."""

import asyncio
from datetime import UTC, datetime
from functools import partial

from faults.matrix.evidence import ROOT_VHOST
from faults.matrix.fault import SWEPT_S, Burst, Fault
from faults.matrix.scene import Scene
from faults.operators import Alarm
from tocsin_common.topology import JOBS_EXCHANGE, WORK_QUEUE

ALARM_S = 60
PURGES = 5
BURSTS = Burst(500, 10)
A_MESSAGE_EACH = {"JOBS_PER_MESSAGE": "1"}
"""A burst of 500 is ten messages else, and they are gone from the queue at once."""
BEHIND_S = "SELECT extract(epoch FROM clock_timestamp() - watermark)::float8 FROM scheduler_lease"


async def ring(kind: Alarm, seconds: float, scene: Scene) -> None:
    """Nobody can publish meanwhile."""
    async with scene.rabbitmq.operator.alarm(kind):
        await asyncio.sleep(seconds)
        alarms = await scene.rabbitmq.operator.alarms()
        behind_s = float(await scene.ask(BEHIND_S))
    scene.fault_is_over()
    scene.hit(len(alarms), 1, f"alarms rang: {', '.join(alarms)}")
    scene.hit(behind_s > seconds / 2, 1, f"times nothing could be announced: emission was {behind_s:.0f} s behind")


async def purge(scene: Scene) -> None:
    """Each time in a burst, when its first jobs have been sent."""
    lost = 0
    for _ in range(PURGES):
        lost += await purge_once(scene)
    scene.hit(lost, PURGES, "purges threw jobs away")


async def purge_once(scene: Scene) -> bool:
    """Whether it threw jobs away."""
    await burst_begins(scene)
    purged = await scene.rabbitmq.operator.purge(WORK_QUEUE)
    scene.fault_is_over()
    return purged > 0


async def delete_queues(scene: Scene) -> None:
    """In a burst, when its first jobs have been sent, and messages of theirs are in the queues."""
    scene.hit(await delete_queues_once(scene), 1, "times there were messages in the queues that were deleted")


async def delete_queues_once(scene: Scene) -> bool:
    """Work, tiers, dead: each that somebody other than its consumer may delete. Whether jobs went with them."""
    operator = scene.rabbitmq.operator
    others = [queue for queue in await operator.queues(ROOT_VHOST) if queue != WORK_QUEUE]
    await burst_begins(scene)
    deleted = [await operator.throw_away(queue) for queue in (WORK_QUEUE, *others)]
    scene.fault_is_over()
    scene.remarks.append(f"{sum(deleted)} messages were in the queues when they were deleted")
    return sum(deleted) > 0


async def burst_begins(scene: Scene) -> None:
    """Returns when its first jobs are sent."""
    leader = await scene.leader()
    await asyncio.sleep(scene.burst.until_next_s(datetime.now(UTC)))
    await scene.lines.of(leader.name, "broker").hears(JOBS_EXCHANGE.encode())


ROWS = (
    Fault(
        "broker_memory_alarm",
        f"RabbitMQ's memory alarm rings for {ALARM_S} s: nobody can publish",
        partial(ring, "memory", ALARM_S),
        bound_s=SWEPT_S,
        settings={"CATCH_UP_GRACE_S": str(ALARM_S + 30)},  # so that nothing is missed
    ),
    Fault(
        "work_queue_purged",
        f"An operator purges the work queue while jobs are published, {PURGES} times",
        purge,
        bound_s=SWEPT_S,
        settings=A_MESSAGE_EACH,
        burst=BURSTS,
    ),
    Fault(
        "every_queue_deleted",
        "An operator deletes every queue that others may delete, while jobs are published",
        delete_queues,
        bound_s=SWEPT_S,
        settings=A_MESSAGE_EACH,
        burst=BURSTS,
    ),
)
