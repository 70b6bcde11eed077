"""SHELL. How many POSTs this sender has in flight at each destination, and the jobs that wait here for one to end.

Who waits here is brought back by the end of a POST, in order: there is no guess in it of how long POSTs take. Its
row stays as it is, so whatever is lost with this process the sweeper announces again.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable

from tocsin_common.messages import Job


class Crowd:
    """Of one sender."""

    def __init__(self, *, most_each: int, most_waiting: int, bring_back: Callable[[Job], None]) -> None:
        """`most_each`: POSTs in flight at a destination; `most_waiting`: jobs that wait here, in all."""
        self._most_each = most_each
        self._most_waiting = most_waiting
        self._bring_back = bring_back
        self._in_flight: Counter[str] = Counter()
        self._waiting: dict[str, deque[Job]] = {}
        self._count = 0
        self._coming: dict[str, set[Job]] = {}
        """Jobs that were brought back and have not begun: room is kept for them."""

    def enter(self, destination: str) -> None:
        """A POST to `destination` begins."""
        self._in_flight[destination] += 1

    def leave(self, destination: str) -> None:
        """A POST to `destination` ended, or never began."""
        self._in_flight[destination] -= 1
        if not self._in_flight[destination]:
            del self._in_flight[destination]
        self.let_in([destination])

    def split(self, jobs: Collection[Job]) -> tuple[list[Job], list[Job], list[Job]]:
        """Those of `jobs` that there is room for, those that may wait here, and those that are too many."""
        begin, rest = [], []
        beginning: Counter[str] = Counter()
        for job in jobs:
            if self._came_back(job) or self._has_room(job.destination, beginning[job.destination]):
                beginning[job.destination] += 1
                begin.append(job)
            else:
                rest.append(job)
        room = max(0, self._most_waiting - self._count)
        return begin, rest[:room], rest[room:]

    def hold(self, jobs: Iterable[Job]) -> None:
        """Let `jobs` wait here."""
        for job in jobs:
            self._waiting.setdefault(job.destination, deque()).append(job)
            self._count += 1

    def let_in(self, destinations: Iterable[str]) -> None:
        """Bring back as many as there is room for."""
        for name in destinations:
            while (waiting := self._waiting.get(name)) and self._taken(name) < self._most_each:
                job = waiting.popleft()
                self._count -= 1
                if not waiting:
                    del self._waiting[name]
                self._coming.setdefault(name, set()).add(job)
                self._bring_back(job)

    def take_all(self) -> list[Job]:
        """Take out everybody who waits."""
        jobs = [job for waiting in self._waiting.values() for job in waiting]
        self._waiting.clear()
        self._count = 0
        return jobs

    def _came_back(self, job: Job) -> bool:
        coming = self._coming.get(job.destination)
        if coming is None or job not in coming:
            return False
        coming.remove(job)
        if not coming:
            del self._coming[job.destination]
        return True

    def _has_room(self, destination: str, beginning: int) -> bool:
        return destination not in self._waiting and self._taken(destination) + beginning < self._most_each

    def _taken(self, destination: str) -> int:
        return self._in_flight[destination] + len(self._coming.get(destination, ()))
