"""SHELL. Receivers turn hostile: each of some webhooks answers all that comes alike, or not at all."""

import asyncio
from collections.abc import Collection, Mapping

from faults.matrix.scene import Scene
from tocsin_local.script import MISBEHAVIOURS, NO_ANSWER, RESET, LocalWebhook, Script

ANSWERS: Mapping[str, int] = {"limit": 429, "fail": 500, "hang": NO_ANSWER, "reset": RESET}
"""Of what they may do the four that differ most, and how a script says it."""


async def answer(then: int, seconds: float, webhooks: Collection[LocalWebhook]) -> None:
    """They do so for a while; then they take all that comes again."""
    follow(Script(then=then), webhooks)
    await asyncio.sleep(seconds)
    follow(Script(), webhooks)


async def answer_at_half(then: int, seconds: float, scene: Scene) -> int:
    """Half of all do, by chance: how many POSTs met it."""
    webhooks = scene.chance.sample(scene.load.webhooks, len(scene.load.webhooks) // 2)
    start = len(scene.receiver.posts)
    await answer(then, seconds, webhooks)
    theirs = {webhook.webhook_id for webhook in webhooks}
    status = None if then in MISBEHAVIOURS else then
    return sum(post.webhook_id in theirs and post.status == status for post in scene.receiver.posts[start:])


def follow(script: Script, webhooks: Collection[LocalWebhook]) -> None:
    """They all do, from now on."""
    for webhook in webhooks:
        webhook.script = script
