"""Clocks are wrong. Debian's package libfaketime is needed for it."""

import asyncio
from functools import partial

from faults.matrix.fault import Fault
from faults.matrix.scene import Scene
from faults.wrong_clock import WrongClock

HOUR_S = 3600
WRONG_S = 25


async def set_leaders(offset_s: int, wrong_s: float, scene: Scene) -> None:
    """In the middle of its work it goes wrong, and some time later right again."""
    clocks = {part: WrongClock(scene.folder, part.name) for part in scene.of_role("scheduler")}
    for part, clock in clocks.items():
        part.change(clock.environment)
        await part.stop()
        await part.start()
        await part.ready()
    clock = clocks[await scene.leader()]
    for offset in (offset_s, 0):
        clock.set(offset)
        await asyncio.sleep(wrong_s)


ROWS = tuple(
    Fault(
        f"leader_clock_{name}",
        f"The leader's clock is set an hour {where}, and {WRONG_S} s later right again",
        partial(set_leaders, offset_s, WRONG_S),
        bound_s=10,
    )
    for name, where, offset_s in (("ahead", "ahead", HOUR_S), ("behind", "back", -HOUR_S))
)
