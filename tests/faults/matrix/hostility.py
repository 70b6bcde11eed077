"""SHELL. Receivers turn hostile: each of some webhooks answers all that comes alike, or not at all."""

import asyncio
from collections.abc import Collection, Mapping

from faults.matrix.scene import Scene
from tocsin_local.script import NO_ANSWER, RESET, LocalWebhook, Script

ANSWERS: Mapping[str, int] = {"limit": 429, "fail": 500, "hang": NO_ANSWER, "reset": RESET}
"""Of what they may do the four that differ most, and how a script says it."""


async def answer(then: int, seconds: float, webhooks: Collection[LocalWebhook]) -> None:
    """They do so for a while; then they take all that comes again."""
    follow(Script(then=then), webhooks)
    await asyncio.sleep(seconds)
    follow(Script(), webhooks)


async def answer_at_half(then: int, seconds: float, scene: Scene) -> None:
    """Half of all do, by chance."""
    webhooks = scene.load.webhooks
    await answer(then, seconds, scene.chance.sample(webhooks, len(webhooks) // 2))


def follow(script: Script, webhooks: Collection[LocalWebhook]) -> None:
    """They all do, from now on."""
    for webhook in webhooks:
        webhook.script = script
