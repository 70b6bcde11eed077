"""What tasks owe, worked out by brute force: nothing here comes from the scheduler's code.

Schedules are of a small vocabulary; a walk over the seconds says when each is due. The world is a few hours long.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from simulation.database import Revision
from simulation.world import START

FIRST, LAST = START - timedelta(hours=2), START + timedelta(hours=2)
TICK = timedelta(microseconds=1)

VOCABULARY = {
    "*/5 * * * * *": lambda t: t.second % 5 == 0,
    "*/10 * * * * *": lambda t: t.second % 10 == 0,
    "*/15 * * * * *": lambda t: t.second % 15 == 0,
    "7,37 * * * * *": lambda t: t.second in (7, 37),
    "* * * * *": lambda t: t.second == 0,
    "20 */2 * * * *": lambda t: t.second == 20 and t.minute % 2 == 0,
    "@hourly": lambda t: t.second == 0 and t.minute == 0,
    "@daily": lambda t: t.second == 0 and t.minute == 0 and t.hour == 0,
}
"""Each schedule with what it means, in its own time."""
HOURS_APART = {"UTC": 0, "Asia/Tokyo": 9}
"""The zones in use, which know no daylight saving."""


@cache
def _walk(schedule: str, timezone: str) -> list[datetime]:
    means, apart = VOCABULARY[schedule], timedelta(hours=HOURS_APART[timezone])
    found, second = [], FIRST
    while second < LAST:
        if means(second + apart):
            found.append(second)
        second += timedelta(seconds=1)
    return found


class Term(NamedTuple):
    """How long one version of when a task runs was in force; edits that leave that alone are of the same term."""

    revisions: tuple[Revision, ...]
    start: datetime
    end: datetime
    """Included."""

    @property
    def first(self) -> Revision:
        """What began it."""
        return self.revisions[0]

    def owed(self, reboots: Iterable[datetime], until: datetime | None = None) -> list[datetime]:
        """Its instants, up to its end or to `until`."""
        end = self.end if until is None else until
        revision = self.first
        if revision.status != "ACTIVE" or end < self.start:
            return []
        start = max(filter(None, (self.start, revision.starts_at)))
        return within(revision, start, min(filter(None, (end, revision.ends_at))), reboots)


def within(revision: Revision, start: datetime, end: datetime, reboots: Iterable[datetime]) -> list[datetime]:
    """The instants of its schedule from `start` to `end`, both included."""
    if revision.schedule is None:
        instants = [revision.run_at] if revision.run_at is not None else []
    elif revision.schedule == "@reboot":
        instants = sorted(reboots)
    else:
        instants = _walk(revision.schedule, revision.timezone)
    return instants[bisect_left(instants, start) : bisect_right(instants, end)]


def kind(revision: Revision) -> str:
    """Why what it owes is owed."""
    return "once" if revision.schedule is None else "reboot" if revision.schedule == "@reboot" else "schedule"


def terms(revisions: Iterable[Revision]) -> Iterator[tuple[UUID, list[Term]]]:
    """The terms of each task, in order."""
    ordered = sorted(revisions, key=lambda revision: revision[:2])
    for task_id, own in groupby(ordered, key=lambda revision: revision.task_id):
        same = [tuple(group) for _, group in groupby(own, key=lambda revision: revision.effective_from)]
        starts = [group[0].effective_from for group in same]
        ends = [start - TICK for start in starts[1:]] + [LAST]
        yield task_id, [Term(*parts) for parts in zip(same, starts, ends, strict=True)]


def with_next(own: list[Term]) -> Iterator[tuple[Term, Term | None]]:
    """Each term of a task with the one that followed."""
    return zip(own, [*own[1:], None][: len(own)], strict=True)
