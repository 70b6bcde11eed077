"""PURE. The cron heap: which executions are owed, and when the next ones are.

It holds schedules, not tasks: tasks with the same cron expression and time zone share one entry. Time enters
as arguments only; nothing advances until the caller says that it was committed.
"""

import heapq
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple
from uuid import UUID

from tocsin_common import schedule
from tocsin_common.messages import Job

SPARE_ENTRIES = 1000
TICK = timedelta(microseconds=1)  # the resolution of every instant


class Revision(NamedTuple):
    """One version of a task, as the scheduler needs it."""

    task_id: UUID
    revision: int
    effective_from: datetime
    status: str
    schedule: str
    timezone: str
    destination: str

    @property
    def is_active(self) -> bool:
        """Whether it owes anything."""
        return self.status == "ACTIVE"


class Span(NamedTuple):
    """The instants that a revision owes from `start` to `end`, both included."""

    revision: Revision
    start: datetime
    end: datetime


def split(spans: Iterable[Span], at: datetime) -> tuple[list[Span], list[Span]]:
    """The parts of `spans` up to `at`, and those after it."""
    spans = list(spans)
    before = [span._replace(end=min(span.end, at)) for span in spans if span.start <= at]
    after = [span._replace(start=max(span.start, at + TICK)) for span in spans if span.end > at]
    return before, after


class _Group:
    """The tasks of one schedule, and its next instant."""

    __slots__ = ("members", "next_at", "source")

    def __init__(self, source: Iterator[datetime]) -> None:
        self.members: dict[UUID, Revision] = {}
        self.source = source
        self.next_at = next(source)


class Heap:
    """Everything owed after `watermark`. Instants up to it have been emitted."""

    def __init__(self, watermark: datetime) -> None:
        self.watermark = watermark
        self._groups: dict[tuple[str, str], _Group] = {}
        self._active: dict[UUID, Revision] = {}
        self._inactive: dict[UUID, Revision] = {}
        self._order: list[tuple[datetime, int, tuple[str, str]]] = []
        self._entries = count()  # a tie-break, so that groups themselves are never compared

    def __len__(self) -> int:
        """How many active tasks there are."""
        return len(self._active)

    def load(self, revision: Revision) -> None:
        """Take in what a task was before the feed's position: nothing of it is late."""
        self._keep(revision)

    def apply(self, revision: Revision) -> list[Span]:
        """Take in a change; returns what it makes owed outside the usual order, to be emitted at once.

        That is the old revision's instants that the watermark has not reached yet, up to the change, and the
        new one's that the watermark has already passed. A revision that is already known changes nothing.
        """
        old = self._active.get(revision.task_id) or self._inactive.get(revision.task_id)
        if old is not None and revision.revision <= old.revision:
            return []
        if old is not None:
            self._drop(old)
        self._keep(revision)
        if old is not None and old.effective_from == revision.effective_from:
            return []  # an edit that leaves the schedule alone
        spans = []
        if old is not None and old.is_active:
            start = max(old.effective_from, self.watermark + TICK)
            spans.append(Span(old, start, revision.effective_from - TICK))
        if revision.is_active:
            spans.append(Span(revision, revision.effective_from, self.watermark))
        return [span for span in spans if span.start <= span.end]

    def forget_inactive(self, keep: Collection[UUID]) -> None:
        """Drop what is known of inactive tasks, but for `keep`: those the feed may show again."""
        self._inactive = {task_id: old for task_id, old in self._inactive.items() if task_id in keep}

    def head(self) -> datetime | None:
        """The next instant at which anything is owed."""
        while self._order:
            if self._is_current(self._order[0]):
                return self._order[0][0]
            heapq.heappop(self._order)  # its group is gone or has moved on
        return None

    def jobs_at(self, instant: datetime) -> Iterator[Job]:
        """What is owed at `instant`, which is `head()`; the heap must not change while this is read."""
        for key in self._keys_at(instant):
            for member in self._groups[key].members.values():
                if member.effective_from <= instant:
                    yield Job(member.task_id, instant, member.destination)

    def advance(self, instant: datetime) -> None:
        """Everything up to `instant` is committed: move on. `instant` is `head()` or lies before it."""
        for key in self._keys_at(instant):
            group = self._groups[key]
            group.next_at = next(group.source)
            self._push(key, group)
        self.watermark = max(self.watermark, instant)

    def gap(self, until: datetime) -> Iterator[Span]:
        """What every task owes after the watermark up to `until`; the heap must not change while this is read."""
        for member in self._active.values():
            start = max(member.effective_from, self.watermark + TICK)
            if start <= until:
                yield Span(member, start, until)

    def skip_to(self, instant: datetime) -> None:
        """Everything up to `instant` was emitted otherwise: move on without walking there."""
        self.watermark = max(self.watermark, instant)
        for key, group in self._groups.items():
            if group.next_at <= self.watermark:
                group.source = schedule.instants(*key, start=self.watermark + TICK)
                group.next_at = next(group.source)
                self._push(key, group)

    def _keys_at(self, instant: datetime) -> list[tuple[str, str]]:
        """The groups that are due at `instant`; finds them from the heap's top without taking them off."""
        keys: dict[tuple[str, str], None] = {}
        pending = [0]
        while pending:
            index = pending.pop()
            if index >= len(self._order) or self._order[index][0] > instant:
                continue
            entry = self._order[index]
            if entry[0] == instant and self._is_current(entry):
                keys[entry[2]] = None
            pending += (2 * index + 1, 2 * index + 2)
        return list(keys)

    def _is_current(self, entry: tuple[datetime, int, tuple[str, str]]) -> bool:
        group = self._groups.get(entry[2])
        return group is not None and group.next_at == entry[0]

    def _keep(self, revision: Revision) -> None:
        if not revision.is_active:
            self._inactive[revision.task_id] = revision
            return
        self._active[revision.task_id] = revision
        key = (revision.schedule, revision.timezone)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(schedule.instants(*key, start=self.watermark + TICK))
            self._push(key, group)
        group.members[revision.task_id] = revision

    def _drop(self, old: Revision) -> None:
        self._inactive.pop(old.task_id, None)
        if self._active.pop(old.task_id, None) is None:
            return
        key = (old.schedule, old.timezone)
        del self._groups[key].members[old.task_id]
        if not self._groups[key].members:
            del self._groups[key]

    def _push(self, key: tuple[str, str], group: _Group) -> None:
        if len(self._order) > 2 * len(self._groups) + SPARE_ENTRIES:
            # Entries of groups that are gone would stay until their time comes, which may be next year.
            self._order = [(other.next_at, next(self._entries), name) for name, other in self._groups.items()]
            heapq.heapify(self._order)
            return
        heapq.heappush(self._order, (group.next_at, next(self._entries), key))
