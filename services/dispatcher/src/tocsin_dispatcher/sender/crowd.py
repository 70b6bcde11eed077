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
        self._coming: set[Job] = set()
        """Jobs that were brought back and have not begun: they count as in flight already."""

    def leave(self, destination: str) -> None:
        """A POST to `destination` has ended, or one that there was room for does not begin."""
        self._in_flight[destination] -= 1
        if not self._in_flight[destination]:
            del self._in_flight[destination]
        self._let_in(destination)

    def split(self, jobs: Collection[Job]) -> tuple[list[Job], list[Job], list[Job]]:
        """Those of `jobs` that there is room for, those that may wait here, and those that are too many.

        The first are counted as in flight from now on, until they `leave`.
        """
        begin, rest = [], []
        for job in jobs:
            if job in self._coming:
                self._coming.remove(job)
                begin.append(job)
            elif job.destination not in self._waiting and self._has_room(job.destination):
                self._in_flight[job.destination] += 1
                begin.append(job)
            else:
                rest.append(job)
        room = max(0, self._most_waiting - self._count)
        return begin, rest[:room], rest[room:]

    def hold(self, jobs: Iterable[Job]) -> None:
        """Let `jobs` wait here, until there is room again."""
        for job in jobs:
            self._waiting.setdefault(job.destination, deque()).append(job)
            self._count += 1
            self._let_in(job.destination)

    def waiting(self) -> int:
        """How many wait here."""
        return self._count

    def take_all(self) -> list[Job]:
        """Take out everybody who waits."""
        jobs = [job for waiting in self._waiting.values() for job in waiting]
        self._waiting.clear()
        self._count = 0
        return jobs

    def _let_in(self, destination: str) -> None:
        while (waiting := self._waiting.get(destination)) and self._has_room(destination):
            job = waiting.popleft()
            self._count -= 1
            if not waiting:
                del self._waiting[destination]
            self._in_flight[destination] += 1
            self._coming.add(job)
            self._bring_back(job)

    def _has_room(self, destination: str) -> bool:
        return self._in_flight[destination] < self._most_each
