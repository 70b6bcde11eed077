"""SHELL. How many POSTs this sender has in flight at each destination, and the jobs that wait here for one to end.

Who waits here is brought back by the end of a POST, in order: there is no guess in it of how long POSTs take. Its
row stays as it is, so whatever is lost with this process the sweeper announces again.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from uuid import UUID

from tocsin_common.messages import Job

Key = tuple[datetime, UUID]


class Crowd:
    """Of one sender."""

    def __init__(self, *, most_each: int, most_waiting: int, bring_back: Callable[[Job], None]) -> None:
        """`most_each`: POSTs in flight at a destination; `most_waiting`: jobs that wait here, in all."""
        self._most_each = most_each
        self._most_waiting = most_waiting
        self._bring_back = bring_back
        self._in_flight: Counter[str] = Counter()
        self._waiting: dict[str, deque[Job]] = {}
        self._here: set[Key] = set()
        """Who waits here."""
        self._coming: dict[Key, str] = {}
        """Who was brought back and has not begun, and where to: it counts as in flight there already."""

    def leave(self, destination: str) -> None:
        """A POST to `destination` has ended, or one that there was room for does not begin."""
        self._in_flight[destination] -= 1
        if not self._in_flight[destination]:
            del self._in_flight[destination]
        self._let_in(destination)

    def split(self, jobs: Collection[Job]) -> tuple[list[Job], list[Job], list[Job]]:
        """Those of `jobs` that there is room for, those that may wait here, and those that are too many.

        The first are counted as in flight from now on, until they `leave`. Of one that waits here already, another
        message says nothing new: what waits for long is announced again.
        """
        begin, rest = [], []
        for job in jobs:
            if job.key in self._here:
                continue
            if self._came_back(job) or self._is_let_in(job):
                begin.append(job)
            else:
                rest.append(job)
        room = max(0, self._most_waiting - len(self._here))
        return begin, rest[:room], rest[room:]

    def hold(self, jobs: Iterable[Job]) -> None:
        """Let `jobs` wait here, until there is room again."""
        for job in jobs:
            self._waiting.setdefault(job.destination, deque()).append(job)
            self._here.add(job.key)
            self._let_in(job.destination)

    def take_out(self, destinations: Iterable[str], most: int) -> list[Job]:
        """Take out those that wait for `destinations`, at most so many."""
        jobs: list[Job] = []
        for destination in destinations:
            while len(jobs) < most and destination in self._waiting:
                jobs.append(self._take_first(destination))
        return jobs

    def waiting(self) -> int:
        """How many wait here."""
        return len(self._here)

    def take_all(self) -> list[Job]:
        """Take out everybody who waits."""
        return self.take_out(list(self._waiting), len(self._here))

    def _came_back(self, job: Job) -> bool:
        """Its room is kept; but it may be on its way to another destination by now."""
        if job.key not in self._coming:
            return False
        destination = self._coming.pop(job.key)
        if destination != job.destination:
            self.leave(destination)
        return destination == job.destination

    def _is_let_in(self, job: Job) -> bool:
        if job.destination in self._waiting or not self._has_room(job.destination):
            return False
        self._in_flight[job.destination] += 1
        return True

    def _let_in(self, destination: str) -> None:
        while destination in self._waiting and self._has_room(destination):
            job = self._take_first(destination)
            self._in_flight[destination] += 1
            self._coming[job.key] = destination
            self._bring_back(job)

    def _take_first(self, destination: str) -> Job:
        waiting = self._waiting[destination]
        job = waiting.popleft()
        self._here.discard(job.key)
        if not waiting:
            del self._waiting[destination]
        return job

    def _has_room(self, destination: str) -> bool:
        return self._in_flight[destination] < self._most_each
