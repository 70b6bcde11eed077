"""PURE. What is left of an outage, by brute force: every second is looked at.

It shares no line with the scheduler: no cron arithmetic, no spans, no iterators.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

SECOND = timedelta(seconds=1)
COUNTED = 1000  # a missed row that stands for more says no number

Owes = Callable[[datetime], bool]
"""Whether a task owes an execution at a whole second."""


class Outage(NamedTuple):
    """Nothing was emitted after `since`, and what was owed up to `until` is decided on as of `until`."""

    since: datetime
    until: datetime


class Rules(NamedTuple):
    """The settings that decide."""

    grace: timedelta
    limit: int
    """How many older instants the policy `all` fires."""


class Missed(NamedTuple):
    """The one row of the instants of an outage that did not fire."""

    oldest: datetime
    newest: datetime
    number: int | None


class Left(NamedTuple):
    """All rows that there should be."""

    fired: set[datetime]
    missed: set[Missed]


def seconds(start: datetime, end: datetime) -> list[datetime]:
    """Every whole second from `start` to `end`, both included."""
    first = start.replace(microsecond=0)
    count = int((end - first) / SECOND)
    return [at for at in (first + SECOND * n for n in range(count + 1)) if at >= start]


def left(
    owed: Sequence[datetime],
    catch_up: str,
    outages: Sequence[Outage],
    rules: Rules,
    emitted_before: Collection[datetime] = (),
) -> Left:
    """The rows of a task that owes `owed`; those `emitted_before` the outages were decided on stay."""
    fired, missed = set(owed), set()
    for outage in outages:
        open_ = [at for at in owed if outage.since < at <= outage.until and at not in emitted_before]
        lost = _lost(open_, catch_up, outage, rules)
        fired -= set(lost)
        if lost:
            missed.add(Missed(lost[0], lost[-1], len(lost) if len(lost) <= COUNTED else None))
    return Left(fired, missed)


def _lost(owed: list[datetime], catch_up: str, outage: Outage, rules: Rules) -> list[datetime]:
    old = [at for at in owed if outage.until - at >= rules.grace]
    has_recent = len(old) < len(owed)
    if catch_up == "all":
        return old[: max(0, len(old) - rules.limit)]
    if catch_up == "latest" and not has_recent:
        return old[:-1]
    return old
