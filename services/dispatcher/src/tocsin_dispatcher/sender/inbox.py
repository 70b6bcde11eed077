"""SHELL. What waits for a claim: job messages from the broker and executions that waited in memory."""

import asyncio
from collections import deque
from typing import NamedTuple

from aio_pika.abc import AbstractIncomingMessage

from tocsin_common.messages import Job


class Delivery(NamedTuple):
    """Jobs to claim, and the message to ack afterwards; None where they waited in memory."""

    jobs: list[Job]
    message: AbstractIncomingMessage | None


class Inbox:
    """First in, first out; bounded by the prefetch and by the bound on waits in memory."""

    def __init__(self) -> None:
        self._deliveries: deque[Delivery] = deque()
        self._filled = asyncio.Event()
        self.is_closed = False

    def close(self) -> None:
        """Let `take` return nothing from now on."""
        self.is_closed = True
        self._filled.set()

    def put(self, delivery: Delivery) -> None:
        """Add `delivery` at the end."""
        self._deliveries.append(delivery)
        self._filled.set()

    async def take(self, most: int) -> list[Delivery]:
        """Wait for something, then take what is there, up to `most` jobs (but one delivery at least).

        Nothing means that the inbox was closed.
        """
        while not self._deliveries and not self.is_closed:
            self._filled.clear()
            await self._filled.wait()
        if self.is_closed:
            return []
        taken = [self._deliveries.popleft()]
        jobs = len(taken[0].jobs)
        while self._deliveries and jobs + len(self._deliveries[0].jobs) <= most:
            taken.append(self._deliveries.popleft())
            jobs += len(taken[-1].jobs)
        return taken

    def take_messages(self) -> list[AbstractIncomingMessage]:
        """Take out all that came from the broker."""
        messages = [delivery.message for delivery in self._deliveries if delivery.message is not None]
        self._deliveries = deque(delivery for delivery in self._deliveries if delivery.message is None)
        return messages

    def take_waited(self) -> list[Job]:
        """Take out all that waited in memory."""
        jobs = [job for delivery in self._deliveries if delivery.message is None for job in delivery.jobs]
        self._deliveries = deque(delivery for delivery in self._deliveries if delivery.message is not None)
        return jobs
