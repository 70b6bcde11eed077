"""ADAPTER. Database time, reckoned between two looks at it: what the dispatcher decides by."""

import time
from collections import deque
from datetime import datetime, timedelta

SAMPLES = 8


def boottime() -> float:
    """Seconds since boot, suspends included: what deadlines of this process are measured by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class DatabaseClock:
    """Never ahead of the database's clock: a sample was true when it was sent, so the latest of them wins."""

    def __init__(self) -> None:
        self._samples: deque[tuple[datetime, float]] = deque(maxlen=SAMPLES)

    def sample(self, database_now: datetime) -> None:
        """Take in `clock_timestamp()` of an answer that has just arrived."""
        self._samples.append((database_now, boottime()))

    def now(self) -> datetime:
        """The database's time, late by at most the fastest of the last answers' way here."""
        now = boottime()
        return max(then + timedelta(seconds=now - at) for then, at in self._samples)
