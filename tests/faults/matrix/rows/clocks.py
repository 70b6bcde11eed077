"""Clocks are wrong. Debian's package libfaketime is needed for it."""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from faults.matrix.fault import SOON_S, Fault
from faults.matrix.rows import everything
from faults.matrix.scene import Scene
from faults.wrong_clock import WrongClock

HOUR_S = 3600
WRONG_S = 25
NEARLY = timedelta(minutes=5)


async def set_leaders(offset_s: int, wrong_s: float, scene: Scene) -> None:
    """In the middle of its work it goes wrong, and some time later right again."""
    clocks = {part: WrongClock(scene.folder, part.name) for part in scene.of_role("scheduler")}
    for part, clock in clocks.items():
        part.change(clock.environment)
        await everything.restart(part, scene)
    leader = await scene.leader()
    clocks[leader].set(offset_s)
    await asyncio.sleep(wrong_s)
    clocks[leader].set(0)
    scene.fault_is_over()
    # One that ended with the lease has no watermark.
    emissions = [line for line in leader.process.all_logged("executions.emitted") if line["watermark"]]
    wrong = [line for line in emissions if abs(_clock_is_off_by(line) - timedelta(seconds=offset_s)) < NEARLY]
    scene.saw(len(wrong), f"emissions of the leader's came when its clock was off by {offset_s} s")


def _clock_is_off_by(emission: dict[str, Any]) -> timedelta:
    """What the leader took the time for, against the instant that it emitted by the database's clock."""
    return datetime.fromisoformat(emission["timestamp"]) - datetime.fromisoformat(emission["watermark"])


ROWS = tuple(
    Fault(
        f"leader_clock_{name}",
        f"The leader's clock is set an hour {where}, and {WRONG_S} s later right again",
        partial(set_leaders, offset_s, WRONG_S),
        bound_s=SOON_S,
        wrong_clock=True,
    )
    for name, where, offset_s in (("ahead", "ahead", HOUR_S), ("behind", "back", -HOUR_S))
)
