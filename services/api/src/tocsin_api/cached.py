"""SHELL. A value that costs something is made for all who ask at once, and kept for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from tocsin_api.kept import Kept

T = TypeVar("T")


class Cached(Generic[T]):
    """One value. It is made when somebody asks for it, and those who ask meanwhile get the same."""

    def __init__(self, make: Callable[[], Awaitable[T]], kept: Kept[T]) -> None:
        """Nothing is made yet. What `make` raises is raised to all who wait, and is not kept."""
        self._make = make
        self._kept = kept
        self._getting: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """The value that is kept, else a new one."""
        if self._getting is None or self._getting.done():
            self._getting = asyncio.create_task(self._find_or_make())
        # A task of its own: whoever asked first may go away while others wait.
        return await asyncio.shield(self._getting)

    async def _find_or_make(self) -> T:
        found = await self._kept.find()
        return await self._kept.keep(await self._make()) if found is None else found
