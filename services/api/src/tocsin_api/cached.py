"""SHELL. A value that costs something is made for all who ask at once, and kept for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cached(Generic[T]):
    """One value. It is made when somebody asks for it, and those who ask meanwhile get the same."""

    def __init__(self, make: Callable[[], Awaitable[T]], *, keep_s: float) -> None:
        """Nothing is made yet. What `make` raises is raised to all who wait, and is not kept."""
        self._make = make
        self._keep_s = keep_s
        self._made: asyncio.Task[T] | None = None
        self._fresh_until = 0.0

    async def get(self) -> T:
        """The value, which was made `keep_s` ago at most."""
        if self._made is None or (self._made.done() and self._now() >= self._fresh_until):
            self._fresh_until = 0.0
            self._made = asyncio.create_task(self._make_fresh())
        # A task of its own: whoever asked first may go away while others wait.
        return await asyncio.shield(self._made)

    async def _make_fresh(self) -> T:
        value = await self._make()
        self._fresh_until = self._now() + self._keep_s
        return value

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
