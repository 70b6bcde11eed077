"""SHELL. Where many POSTs begin together, all begin first, and then their answers are attended to.

What follows an answer takes about as long as a POST takes to begin. Where both took turns, the last of 200 POSTs
of one instant began only when the first ones had been recorded. Where POSTs begin without end it is no use: that
all begin first then cost a sixth of the throughput.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

from tocsin_dispatcher.sender.claim import Grant
from tocsin_dispatcher.sender.slots import Slots

AT_A_TIME = 3
"""POSTs that begin before the event loop looks at its sockets again: those that have begun have to go out."""


class Starts:
    """The grants whose POSTs have not begun."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._grants: deque[Grant] = deque()
        self._filled = asyncio.Event()
        self._all_begun = asyncio.Event()
        self._all_begun.set()

    def put(self, grants: Iterable[Grant]) -> None:
        """Let these begin next."""
        self._grants.extend(grants)
        if self._grants:
            self._all_begun.clear()
            self._filled.set()

    async def take(self) -> list[Grant]:
        """The next few, which the caller begins right away; waits where there are none."""
        await asyncio.sleep(0)  # those before them have begun when this returns
        if not self._grants:
            self._all_begun.set()
            self._filled.clear()
            await self._filled.wait()
        return [self._grants.popleft() for _ in range(min(AT_A_TIME, len(self._grants)))]

    async def all_begun(self) -> None:
        """Returns once nothing waits to begin."""
        await self._all_begun.wait()

    async def few_left(self) -> None:
        """The same, but at once while most POST slots are in use: others begin when these are free."""
        if 2 * self._slots.taken < self._slots.total:
            await self._all_begun.wait()
