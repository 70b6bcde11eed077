"""Messages are lost."""

import asyncio

from faults.matrix import lines, users
from faults.matrix.fault import Fault
from faults.matrix.scene import Scene
from waiting import eventually

TASKS = 40
PAUSE_S = 0.5


async def lose_every_hint(scene: Scene) -> None:
    """The APIs cannot reach RabbitMQ while tasks are created: the schedulers learn of them from the feed alone."""
    cut = scene.lines.between("api", "broker")
    await lines.cut(cut)
    before = _lost(scene)
    for number in range(TASKS):
        await users.create_task(scene, api=number % 2 + 1)
        await asyncio.sleep(PAUSE_S)
    await eventually(lambda: _are_lost(scene, before + TASKS))
    await lines.restore(cut)
    await users.check(scene)


async def _are_lost(scene: Scene, hints: int) -> bool:
    return _lost(scene) == hints


def _lost(scene: Scene) -> int:
    return sum(len(part.process.all_logged("hint.lost")) for part in scene.of_role("api"))


ROWS = (
    Fault(
        "every_hint_lost", f"{TASKS} tasks are created, and each hint of it is lost", lose_every_hint, bound_s=30
    ),
)
