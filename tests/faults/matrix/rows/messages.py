"""Messages are lost."""

import asyncio
from functools import partial

from faults.matrix import lines, users
from faults.matrix.fault import SOON_S, Fault
from faults.matrix.scene import Scene
from waiting import eventually

TASKS = 40
PAUSE_S = 0.5
LOST = "hint.lost"


async def lose_every_hint(tasks: int, scene: Scene) -> None:
    """The APIs cannot reach RabbitMQ while tasks are created: the schedulers learn of them from the feed alone."""
    cut = scene.lines.between("api", "broker")
    await lines.cut(cut)
    before = len(scene.logged("api", LOST))
    for number in range(tasks):
        await users.create_task(scene, api=number % 2 + 1)
        await asyncio.sleep(PAUSE_S)
    await eventually(partial(_are_lost, scene, before + tasks))
    scene.saw(len(scene.logged("api", LOST)) - before, f"hints were lost, of {tasks} tasks")
    await lines.restore(cut)
    scene.fault_is_over()
    await users.check(scene)


async def _are_lost(scene: Scene, hints: int) -> bool:
    return len(scene.logged("api", LOST)) >= hints


ROWS = (
    Fault(
        "every_hint_lost",
        f"{TASKS} tasks are created, and each hint of it is lost",
        partial(lose_every_hint, TASKS),
        bound_s=SOON_S,
    ),
)
