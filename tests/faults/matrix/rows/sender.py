"""Senders are hit."""

import asyncio

from faults.matrix.fault import Burst, Fault
from faults.matrix.scene import Scene

KILLS = 20
MOST_S = 2.0
"""Between a start and the next kill."""


async def kill(scene: Scene) -> None:
    """One of them after the other, by chance, while they post; each is started again at once."""
    for _ in range(KILLS):
        sender = scene.chance.choice(scene.of_role("sender"))
        await asyncio.sleep(scene.chance.uniform(0, MOST_S))
        await sender.kill()
        await sender.start()
        await sender.ready()


ROWS = (
    Fault(
        "sender_killed",
        f"A sender is killed while it posts, {KILLS} times",
        kill,
        bound_s=60,
        burst=Burst(1000, 5),
    ),
)
