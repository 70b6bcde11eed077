"""The world that simulated processes live in: one clock, one source of chance, and what happens when.

Nothing but the seed decides what happens: there is no other time, no other chance, and no order that depends on
where an object lies in memory.
"""

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Protocol

START = datetime(2026, 3, 1, 23, 59, 30, tzinfo=UTC)
"""The database's time when a world begins: soon a minute, an hour and a day begin."""

Callback = Callable[[], None]


class Runs(Protocol):
    """A process, as the world sees it."""

    def next_at(self) -> float:
        """When it has something to do."""

    def run(self) -> None:
        """Do what is to be done now."""

    def bury(self) -> None:
        """Leave nothing of it behind."""


class World:
    """Time is in seconds since the world began."""

    def __init__(self, seed: int, *, is_traced: bool = False) -> None:
        self.seed = seed
        self.random = Random(seed)  # noqa: S311 - a seed that gives the same faults again is what is wanted
        self.now = 0.0
        self.processes: list[Runs] = []
        self.dead: list[Runs] = []
        self.problems: list[str] = []
        self.trace: list[str] | None = [] if is_traced else None
        self.database_offset_s = 0.0
        self.furthest_offset_s = 0.0
        """The furthest that the database's clock was ahead: who looked then may still reckon with it."""
        self._events: list[tuple[float, int, Callback]] = []
        self._numbers = count()

    def after(self, delay_s: float, callback: Callback) -> None:
        """Have `callback` called then."""
        heapq.heappush(self._events, (self.now + delay_s, next(self._numbers), callback))

    def run_until(self, end: float) -> None:
        """Let everything happen that happens before `end`."""
        while not self.problems:
            at, process = (self._events[0][0] if self._events else float("inf")), None
            for candidate in self.processes:
                its = candidate.next_at()
                if its < at:
                    at, process = its, candidate
            if at > end:
                break
            self.now = max(self.now, at)
            if process is None:
                heapq.heappop(self._events)[2]()
            else:
                process.run()
        self.now = max(self.now, end)

    def database_now(self) -> datetime:
        """What clock_timestamp() says."""
        return START + timedelta(seconds=self.now + self.database_offset_s)

    def latest_now(self) -> datetime:
        """What the clock of any process may say at most: it goes on from what it saw."""
        return START + timedelta(seconds=self.now + self.furthest_offset_s)

    def jump(self, seconds: float) -> None:
        """Set the database's clock."""
        self.database_offset_s += seconds
        self.furthest_offset_s = max(self.furthest_offset_s, self.database_offset_s)
        self.note("the database's clock jumps", seconds=round(seconds, 3))

    def chance(self, probability: float) -> bool:
        """True that often."""
        return self.random.random() < probability

    def problem(self, text: str) -> None:
        """Say what is wrong; the world ends with it."""
        self.problems.append(text)
        self.note(f"WRONG: {text}")

    def note(self, text: str, **fields: Any) -> None:
        """One line of the trace."""
        if self.trace is not None:
            shown = " ".join(f"{name}={value}" for name, value in fields.items())
            self.trace.append(f"{self.now:10.6f} {self.database_now():%H:%M:%S.%f} {text} {shown}".rstrip())
