"""SHELL. The POST slots of a sender: as many as it may have in flight at a time."""

import asyncio


class Slots:
    """A semaphore that is taken several at a time, first come, first served."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._turn = asyncio.Lock()
        self._given = asyncio.Event()

    @property
    def taken(self) -> int:
        """How many are in use."""
        return self.total - self._free

    async def take(self, number: int) -> None:
        """Wait until `number` slots are free, and take them."""
        async with self._turn:
            while self._free < number:
                self._given.clear()
                await self._given.wait()
            self._free -= number

    def give(self, number: int) -> None:
        """Give `number` slots back."""
        self._free += number
        self._given.set()
