"""PURE. What the load of a run owes, by plain arithmetic.

It shares no line with the product: no cron arithmetic, no time zones, not even the name of an execution.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from e2e.oracle import Ended
from tocsin_local.oracle import Owed, WatchedTask

SCHEDULE = re.compile(r"\*(?:/([1-9]\d?))?(?: \*){5}")
"""Each second, or each `n`th second of the minute."""
MINUTE_S = 60


def until_ended(tasks: Iterable[Ended]) -> dict[UUID, Owed]:
    """All that they owe before the instants at which they end, by the executions' ids."""
    return by_number(Owed(task, at) for task, end in tasks for at in _instants(task, task.effective_from, end))


def between(tasks: Iterable[WatchedTask], *, since: datetime, until: datetime) -> dict[UUID, Owed]:
    """What they owe after `since` and until `until`, itself included."""
    one_more = timedelta(microseconds=1)
    return by_number(
        Owed(task, at)
        for task in tasks
        for at in _instants(task, max(task.effective_from, since + one_more), until + one_more)
    )


def by_number(owed: Iterable[Owed]) -> dict[UUID, Owed]:
    """By the executions' ids."""
    return {uuid5(each.task.task_id, f"{each.scheduled_for:%Y-%m-%dT%H:%M:%S.%f}Z"): each for each in owed}


def period_s(schedule: str) -> int:
    """Seconds between two of its instants; ValueError for a schedule that no load has."""
    found = SCHEDULE.fullmatch(schedule)
    period = int((found and found[1]) or 1)
    if found is None or MINUTE_S % period:
        raise ValueError(f"no schedule of a load: {schedule}")
    return period


def _instants(task: WatchedTask, start: datetime, end: datetime) -> Iterator[datetime]:
    """Those at `start` or later and before `end`. A minute, and so a day, has a whole number of periods."""
    period = period_s(task.schedule)
    second = -(-int(start.timestamp()) // period) * period
    while (at := datetime.fromtimestamp(second, UTC)) < end:
        if at >= start:
            yield at
        second += period
