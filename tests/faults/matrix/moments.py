"""SHELL. What is about a moment, and may come too early or too late."""

from collections.abc import Awaitable, Callable

from faults.matrix.scene import Scene

TRIES = 5

Blow = Callable[[Scene], Awaitable[object]]
"""It may say whether it met the moment that it is about, or how often."""


async def meet(blow: Blow, scene: Scene) -> object:
    """Deal it again where it did not meet its moment; what it says at last."""
    for _ in range(TRIES):
        if met := await blow(scene):
            return met
    return False
