"""Schedulers are hit."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

from faults.matrix import patience, recovery
from faults.matrix.fault import SOON_S, SWEPT_S, Burst, Fault
from faults.matrix.scene import Scene

KILLS = 10
BURST = 5000
MOST_S = 0.1
"""From the first rows of a burst to the kill, at most: about as long as it takes to commit and to announce it."""
SHORT_S, LONG_S = 15, 90
HAS_BEGUN = "SELECT max(scheduled_for) >= $1 FROM executions"
ROUNDED_S = 0.001
IS_UNFINISHED = "SELECT watermark < $1 FROM scheduler_lease"


async def kill_in_bursts(scene: Scene) -> None:
    """Each time when the first rows of a burst are there; the standby takes over, and the killed one stands by.

    A kill that comes too late is one more.
    """
    kills = in_the_middle = 0
    while in_the_middle < KILLS and kills < 2 * KILLS:
        kills += 1
        in_the_middle += await kill_once(scene)
        await recovery.note(scene)
    scene.hit(in_the_middle, kills, "kills came in the middle of a burst")


async def kill_once(scene: Scene) -> bool:
    """Whether it came in the middle of a burst."""
    leader = await scene.leader()
    now = datetime.now(UTC)
    burst = now + timedelta(seconds=scene.burst.until_next_s(now) - ROUNDED_S)
    await patience.eventually(partial(scene.ask, HAS_BEGUN, burst))
    await asyncio.sleep(scene.chance.uniform(0, MOST_S))
    await leader.kill()
    scene.fault_is_over()
    in_the_middle: bool = await scene.ask(IS_UNFINISHED, burst)
    await leader.start()
    await leader.ready()
    return in_the_middle


async def stop_leader(seconds: float, scene: Scene) -> None:
    """It stands still, and when it goes on another one leads."""
    leader = await scene.leader()
    async with recovery.failing_over(scene, leader):
        leader.freeze()
        await asyncio.sleep(seconds)
    leader.thaw()
    scene.fault_is_over()


BURSTS = Burst(BURST, 15)
ROWS = (
    Fault(
        "scheduler_killed_in_bursts",
        f"The leader is killed in the middle of a burst of {BURST:,} executions, {KILLS} times",
        kill_in_bursts,
        bound_s=SWEPT_S,
        burst=BURSTS,
    ),
    *(
        Fault(
            f"leader_stopped_{seconds}s",
            f"The leader stands still for {seconds} s (SIGSTOP) and goes on",
            partial(stop_leader, seconds),
            bound_s=SOON_S,
        )
        for seconds in (SHORT_S, LONG_S)
    ),
)
