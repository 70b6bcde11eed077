"""PURE. One version of a task, as the scheduler needs it: when it is owed, and what its changes make owed."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import dropwhile, takewhile
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfoNotFoundError

import msgspec

from tocsin_common import schedule
from tocsin_common.errors import InvalidScheduleError
from tocsin_common.messages import Job, execution_id

TICK = timedelta(microseconds=1)  # the resolution of every instant
UNREADABLE = (InvalidScheduleError, ZoneInfoNotFoundError)
"""What the first of a task's instants may raise: a rule of an earlier release, or a zone that this host lacks.

Such a task owes nothing. It must not keep others from what they owe.
"""


class When(NamedTuple):
    """What decides a task's instants. Tasks with the same have one entry in the heap."""

    schedule: str | None
    """None: `run_at` stands instead of it."""
    timezone: str = "UTC"
    run_at: datetime | None = None
    """The one instant of a one-off; of an @reboot, when scheduling last started anew."""
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    @property
    def kind(self) -> str:
        """Why its executions are owed."""
        if self.schedule is None:
            return "once"
        return "reboot" if schedule.is_reboot(self.schedule) else "schedule"

    def instants(self, start: datetime) -> Iterator[datetime]:
        """Those at or after `start`, in order."""
        start = start if self.starts_at is None else max(start, self.starts_at)
        source = self._all_from(start)
        return source if self.ends_at is None else takewhile(self._is_before_its_end, source)

    def instants_before(self, end: datetime) -> Iterator[datetime]:
        """Those at or before `end`, the latest first."""
        end = end if self.ends_at is None else min(end, self.ends_at)
        source = self._all_until(end)
        return source if self.starts_at is None else takewhile(self._is_after_its_start, source)

    def _all_from(self, start: datetime) -> Iterator[datetime]:
        if self.kind == "schedule":
            return schedule.instants(self.schedule or "", self.timezone, start=start)
        return dropwhile(lambda instant: instant < start, self._the_one())

    def _all_until(self, end: datetime) -> Iterator[datetime]:
        if self.kind == "schedule":
            return schedule.instants_before(self.schedule or "", self.timezone, end=end)
        return dropwhile(lambda instant: instant > end, self._the_one())

    def _the_one(self) -> Iterator[datetime]:
        return iter(() if self.run_at is None else (self.run_at,))

    def _is_before_its_end(self, instant: datetime) -> bool:
        return self.ends_at is None or instant <= self.ends_at

    def _is_after_its_start(self, instant: datetime) -> bool:
        return self.starts_at is None or instant >= self.starts_at


class Policy(NamedTuple):
    """What decides how an instant that is owed becomes an execution."""

    catch_up: str = "latest"
    jitter_s: int = 0
    """Announcements are delayed by up to this."""


class Revision(msgspec.Struct, frozen=True, gc=False):
    """One version of a task. A million are held in memory: this is a third smaller than a tuple."""

    task_key: bytes
    """The bytes of the task's id: a UUID in a dictionary takes three times as much."""
    revision: int
    effective_from: datetime
    is_active: bool
    """Whether it owes anything."""
    destination: str
    when: When
    policy: Policy = Policy()

    @property
    def task_id(self) -> UUID:
        """The id of its task."""
        return UUID(bytes=self.task_key)

    def owed_at(self, instant: datetime) -> "Owed":
        """The execution that it owes at `instant`."""
        task_id, jitter_s = self.task_id, self.policy.jitter_s
        # The execution's identity is as good as chance, and always the same.
        jitter_ms = execution_id(task_id, instant).int % (1000 * jitter_s) if jitter_s else 0
        return Owed(Job(task_id, instant, self.destination), self.when.kind, jitter_ms)


class Owed(NamedTuple):
    """An execution that is owed and has no row yet."""

    job: Job
    kind: str
    jitter_ms: int


class Span(NamedTuple):
    """The instants that a revision owes from `start` to `end`, both included."""

    revision: Revision
    start: datetime
    end: datetime


class Change(NamedTuple):
    """A task became `new`. `old` is None where it was not there or owed nothing."""

    old: Revision | None
    new: Revision
    xid: int = 0
    """Of the transaction that did it."""


class Gap(NamedTuple):
    """An outage that is being caught up with: what is decided on it holds for whoever leads."""

    until: datetime
    """What is owed up to then is decided on as of then."""
    snapshot: str
    """On the tasks as these transactions left them, by PostgreSQL's text of them; empty: as they are now."""

    def knows(self, xid: int) -> bool:
        """Whether what that transaction did was known when it was decided."""
        return not self.snapshot or is_visible(xid, self.snapshot)


def is_visible(xid: int, snapshot: str) -> bool:
    """Whether what the transaction did is in the snapshot, PostgreSQL's text `<xmin>:<xmax>:<under way>`."""
    first, end, under_way = snapshot.split(":")
    return xid < int(first) or (xid < int(end) and str(xid) not in under_way.split(","))


class Position(NamedTuple):
    """How far the changes of tasks are known: all of lower transactions, and what the snapshot shows of others."""

    xid: int = 0
    snapshot: str | None = None

    def covers(self, xid: int) -> bool:
        """Whether what that transaction did is known."""
        return xid < self.xid or (self.snapshot is not None and is_visible(xid, self.snapshot))


NOWHERE = Position()


def split(spans: list[Span], at: datetime) -> tuple[list[Span], list[Span]]:
    """The parts of `spans` up to `at`, and those after it."""
    before = [span._replace(end=min(span.end, at)) for span in spans if span.start <= at]
    after = [span._replace(start=max(span.start, at + TICK)) for span in spans if span.end > at]
    return before, after


def join(late: list[Span], rest: Iterable[Span] = ()) -> Iterator[Span]:
    """All of them; those of one revision that follow each other are one, for its policy decides on them as one."""
    begun: dict[tuple[bytes, int], Span] = {}
    for span in late:
        key = (span.revision.task_key, span.revision.revision)
        begun[key] = _joined(begun[key], span) if key in begun else span
    for span in rest:
        before = begun.pop((span.revision.task_key, span.revision.revision), None)
        yield span if before is None else _joined(before, span)
    yield from begun.values()


def _joined(first: Span, second: Span) -> Span:
    return first._replace(start=min(first.start, second.start), end=max(first.end, second.end))


def late_spans(changes: list[Change], watermark: datetime) -> list[Span]:
    """What `changes`, those of a task in order, make owed outside the usual order, to be emitted at once.

    That is each old revision's instants that the watermark has not reached yet, up to the change, and each new
    one's that the watermark has already passed, up to the task's next change.
    """
    spans = []
    changes = _without_edits(changes)
    superseded = {
        (change.old.task_key, change.old.revision): change.new.effective_from
        for change in changes
        if change.old is not None
    }
    for old, new, _ in changes:
        if old is not None and old.is_active:
            spans.append(Span(old, max(old.effective_from, watermark + TICK), new.effective_from - TICK))
        if new.is_active:
            until = superseded.get((new.task_key, new.revision))
            end = watermark if until is None else min(watermark, until - TICK)
            spans.append(Span(new, new.effective_from, end))
    return [span for span in spans if span.start <= span.end]


def _without_edits(changes: list[Change]) -> list[Change]:
    """Leave out edits that leave the schedule alone; each is part of the change that it follows here, if any."""
    kept: dict[tuple[bytes, int], Change] = {}
    for change in changes:
        old, new, _ = change
        if old is None or old.effective_from != new.effective_from:
            kept[new.task_key, new.revision] = change
        elif (edited := kept.pop((old.task_key, old.revision), None)) is not None:
            kept[new.task_key, new.revision] = edited._replace(new=new)
    return list(kept.values())
