"""RabbitMQ is hit."""

import asyncio
from datetime import UTC, datetime

from faults.matrix import lines, recovery
from faults.matrix.fault import SWEPT_S, Burst, Fault
from faults.matrix.scene import Scene
from tocsin_common.topology import JOBS_EXCHANGE

KILLS = 10
BURSTS = Burst(1000, 5)
UNCONFIRMED = "jobs.unconfirmed"
MOST_S = 0.02
"""From the first message of a burst to the kill, at most: about as long as its messages take to be confirmed."""


async def restart(scene: Scene) -> None:
    """As its operator would."""
    before = scene.lines.ended("broker")
    await scene.rabbitmq.stop()
    await scene.bring_back(scene.rabbitmq)
    scene.fault_is_over()
    scene.saw(scene.lines.ended("broker") - before, "connections to RabbitMQ ended")


async def kill_while_publishing(scene: Scene) -> None:
    """Each time in a burst, when its first jobs have been sent to it and most are not confirmed."""
    in_the_middle = 0
    for _ in range(KILLS):
        in_the_middle += await kill_once(scene)
        await recovery.note(scene)
    scene.hit(in_the_middle, KILLS, "kills came before all jobs were confirmed")


async def kill_once(scene: Scene) -> bool:
    """Whether it came in time: some jobs had been published and were not confirmed."""
    before = len(scene.logged("scheduler", UNCONFIRMED))
    await scene.leader()
    await asyncio.sleep(scene.burst.until_next_s(datetime.now(UTC)))
    await lines.one_hears(scene.lines.between("scheduler", "broker"), JOBS_EXCHANGE.encode())
    await asyncio.sleep(scene.chance.uniform(0, MOST_S))
    await scene.rabbitmq.kill()
    await scene.bring_back(scene.rabbitmq)
    scene.fault_is_over()
    return len(scene.logged("scheduler", UNCONFIRMED)) > before


ROWS = (
    Fault("broker_restarted", "RabbitMQ is restarted", restart, bound_s=SWEPT_S),
    Fault(
        "broker_killed_in_mid_publish",
        f"RabbitMQ is killed while jobs are published, {KILLS} times",
        kill_while_publishing,
        bound_s=SWEPT_S,
        burst=BURSTS,
    ),
)
