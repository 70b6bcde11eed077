"""Senders are hit."""

import asyncio
from functools import partial

from faults.matrix import patience
from faults.matrix.fault import NOT_RECORDED, SWEPT_S, Burst, Fault
from faults.matrix.scene import Scene

KILLS = 20
MOST_S = 2.0
"""Between a start and the next kill."""
HAD_CLAIMS = """
SELECT EXISTS (SELECT FROM executions WHERE state = 'running' AND claimed_by LIKE '%:' || $1)
"""


async def kill(scene: Scene) -> None:
    """One of them after the other, by chance, while they post; each is started again at once."""
    in_the_middle = 0
    for _ in range(KILLS):
        in_the_middle += await kill_once(scene)
    scene.hit(in_the_middle, KILLS, "kills left claims behind")


async def kill_once(scene: Scene) -> bool:
    """Whether it left claims behind."""
    sender = scene.chance.choice(scene.of_role("sender"))
    await asyncio.sleep(scene.chance.uniform(0, MOST_S))
    pid = sender.pid
    await patience.eventually(partial(scene.ask, HAD_CLAIMS, str(pid)))
    await sender.kill()
    scene.fault_is_over()
    in_the_middle: bool = await scene.ask(HAD_CLAIMS, str(pid))
    await sender.start()
    await sender.ready()
    return in_the_middle


ROWS = (
    Fault(
        "sender_killed",
        f"A sender is killed while it posts, {KILLS} times",
        kill,
        bound_s=SWEPT_S,
        burst=Burst(1000, 5),
        repeats=NOT_RECORDED,
    ),
)
