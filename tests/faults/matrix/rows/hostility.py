"""Receivers turn hostile, for a while."""

import asyncio
from collections.abc import Mapping

from faults.matrix.scene import Scene
from tocsin_local.script import NO_ANSWER, RESET, Script

ANSWERS: Mapping[str, int] = {"limit": 429, "fail": 500, "hang": NO_ANSWER, "reset": RESET}
"""What they do, and how a script says it."""


async def answer(status: int, seconds: float, scene: Scene) -> None:
    """Half of them, by chance, answer all that comes with that status; then they are as before."""
    hostile = scene.chance.sample(scene.load.webhooks, len(scene.load.webhooks) // 2)
    for webhook in hostile:
        webhook.script = Script(then=status)
    await asyncio.sleep(seconds)
    for webhook in hostile:
        webhook.script = Script()
