"""ADAPTER. Database time, reckoned between two looks at it: what the dispatcher decides by."""

import time
from collections import deque
from datetime import datetime, timedelta

SAMPLES = 8
SET_BACK = timedelta(milliseconds=100)
"""The database's clock was set back where it shows a time that it had passed by more when it was asked.

Two clocks drift apart by far less between two samples.
"""


def boottime() -> float:
    """Seconds since boot, suspends included: what deadlines of this process are measured by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class DatabaseClock:
    """Never ahead of the database's clock: a sample was true when it was sent, so the latest of them wins."""

    def __init__(self) -> None:
        self._samples: deque[tuple[datetime, float]] = deque(maxlen=SAMPLES)
        self._set_back_at = float("-inf")

    def sample(self, database_now: datetime, *, sent_at: float | None = None) -> None:
        """Take in `clock_timestamp()` of an answer that has just arrived, to what was sent at that boottime."""
        if sent_at is not None and self._samples:
            if sent_at < self._set_back_at:
                return  # it may be of the time before
            if database_now < self._at(sent_at) - SET_BACK:
                self._samples.clear()
                self._set_back_at = boottime()
        self._samples.append((database_now, boottime()))
        self._furthest = max(self._samples, key=_ahead_s)

    def now(self) -> datetime:
        """The database's time, late by at most the fastest of the last answers' way here."""
        return self._at(boottime())

    def _at(self, boottime_s: float) -> datetime:
        then, at = self._furthest
        return then + timedelta(seconds=boottime_s - at)


def _ahead_s(sample: tuple[datetime, float]) -> float:
    then, at = sample
    return then.timestamp() - at
