"""PURE. The cron heap: which executions are owed, and when the next ones are.

It holds schedules, not tasks: tasks that are owed at the same instants share one entry. Time enters as arguments
only; nothing advances until the caller says that it was committed.
"""

import heapq
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from itertools import count
from types import MappingProxyType

import msgspec

from tocsin_dispatcher.scheduler.revision import (
    TICK,
    UNREADABLE,
    Change,
    Gap,
    Owed,
    Revision,
    Span,
    When,
    late_spans,
    split,
)

SPARE_ENTRIES = 1000
NEAR = 8  # instants that are passed one by one; to get over more, a new iterator costs less
BUCKETS = 256
NOTHING: Mapping[bytes, Revision | None] = MappingProxyType({})


class _Group:
    """The tasks that are owed at the same instants, and the next of these."""

    __slots__ = ("error", "listed", "next_at", "size", "source", "when")

    def __init__(self, when: When, start: datetime) -> None:
        self.when = when
        self.listed: list[Revision] = []
        """Its tasks, and some that have left: for a million, a list costs a fifth of a dictionary."""
        self.size = 0
        self.error: Exception | None = None
        """Why its schedule cannot be read."""
        self.source: Iterator[datetime] = iter(())
        self.next_at: datetime | None = None
        self.seek(start)

    def seek(self, start: datetime) -> None:
        self.source = self.when.instants(start)
        try:
            self.next_at = next(self.source, None)
        except UNREADABLE as error:
            self.next_at, self.error = None, error

    def move_past(self, instant: datetime) -> None:
        for _ in range(NEAR):
            if self.next_at is None or self.next_at > instant:
                return
            self.next_at = next(self.source, None)
        if self.next_at is not None and self.next_at <= instant:
            self.seek(instant + TICK)


class Heap:
    """Everything owed after `watermark`. Instants up to it have been emitted."""

    def __init__(self, watermark: datetime, *, reboot_at: datetime | None = None) -> None:
        """`reboot_at`: when scheduling last started anew."""
        self.watermark = watermark
        self._reboot_at = reboot_at
        self._groups: dict[tuple[object, ...], _Group] = {}  # by their `when`
        self._active: dict[bytes, Revision] = {}
        self._inactive: dict[bytes, Revision] = {}
        self._order: list[tuple[datetime, int, _Group]] = []
        self._entries = count()  # a tie-break, so that groups themselves are never compared
        self._tally = [[0, 0] for _ in range(BUCKETS)]
        self.unreadable: list[tuple[Revision, Exception]] = []
        """The first task of each schedule that cannot be read, and why; for the reader to empty."""

    def __len__(self) -> int:
        """How many active tasks there are."""
        return len(self._active)

    @property
    def schedules(self) -> int:
        """How many entries they share."""
        return len(self._groups)

    def when(self, fields: tuple[object, ...]) -> When:
        """The When of these fields: one object for all tasks that have the same, since a million are many."""
        group = self._groups.get(fields)
        return When._make(fields) if group is None else group.when

    def load(self, revision: Revision) -> None:
        """Take in what a task was before the feed's position: nothing of it is late."""
        self._keep(revision)

    def apply(self, revision: Revision) -> Change | None:
        """Take in a change; None where the revision was already known."""
        old = self._active.get(revision.task_key) or self._inactive.get(revision.task_key)
        if old is not None and revision.revision <= old.revision:
            return None
        return self.replace(revision)

    def replace(self, revision: Revision) -> Change:
        """Take in `revision`, whatever is known of its task."""
        old = self._active.get(revision.task_key) or self._inactive.get(revision.task_key)
        if old is not None:
            self._drop(old)
        self._keep(revision)
        return Change(old, revision)

    def late(self, changes: list[Change]) -> list[Span]:
        """What changes that were applied make owed outside the usual order, as of the watermark."""
        return late_spans(self._with_reboots(changes), self.watermark)

    def late_about(
        self, changes: list[Change], gap: Gap
    ) -> tuple[list[Span], list[Span], dict[bytes, Revision | None]]:
        """The same about a gap: what lies in it, what comes after it, and what some tasks were when it was frozen.

        What had not been known then does not shorten what the tasks owe in the gap: that was decided on.
        """
        changes = self._with_reboots(changes)
        known = [change for change in changes if gap.knows(change.xid)]
        since = [change for change in changes if not gap.knows(change.xid)]
        frozen: dict[bytes, Revision | None] = {}
        for change in since:
            frozen.setdefault(change.new.task_key, change.old)
        in_gap, after = split(late_spans(known, self.watermark) + late_spans(since, gap.until), gap.until)
        return in_gap, after, frozen

    def forget_inactive(self, keep: Collection[bytes]) -> None:
        """Drop what is known of inactive tasks, but for `keep`: those the feed may show again."""
        self._inactive = {task_key: old for task_key, old in self._inactive.items() if task_key in keep}

    def reboot(self, at: datetime | None) -> None:
        """Scheduling last started anew `at`: every @reboot that was in force then is owed then."""
        if at == self._reboot_at:
            return
        self._reboot_at = at
        waiting = [group for group in self._groups.values() if group.when.kind == "reboot"]
        for revision in [member for group in waiting for member in self._members(group)]:
            self._drop(revision)
            self._keep(revision)

    def head(self) -> datetime | None:
        """The next instant at which anything is owed."""
        for _ in self.steps():
            pass
        return self._order[0][0] if self._order else None

    def owed_at(self, instant: datetime) -> Iterator[Owed]:
        """What is owed at `instant`, which is `head()`; the heap must not change while this is read."""
        for group in self._groups_at(instant):
            for member in group.listed:
                if member.effective_from <= instant and self._active.get(member.task_key) is member:
                    yield member.owed_at(instant)

    def advance(self, instant: datetime) -> None:
        """Everything up to `instant` is committed."""
        self.watermark = max(self.watermark, instant)

    def steps(self) -> Iterator[None]:
        """Move the entries that are behind past the watermark, one a step. `head` does this too, at one go."""
        while self._order:
            entry = self._order[0]
            if not self._is_current(entry):
                heapq.heappop(self._order)  # its group is gone or has moved on
            elif entry[0] > self.watermark:
                return
            else:
                entry[2].move_past(self.watermark)
                self._push(entry[2])
                yield

    def gap(self, until: datetime, frozen: Mapping[bytes, Revision | None] = NOTHING) -> Iterator[Span]:
        """What tasks owe after the watermark up to `until`; the heap must not change while this is read.

        Those of one schedule come together, and those of schedules that owe nothing then do not come. `frozen`:
        what these tasks count as.
        """
        after = self.watermark + TICK
        for group in self._groups.values():
            if group.next_at is not None and group.next_at <= until:
                for member in self._members(group):
                    start = max(member.effective_from, after)
                    if start <= until and member.task_key not in frozen:
                        yield Span(member, start, until)
        for revision in frozen.values():
            if revision is not None and revision.is_active and revision.effective_from <= until:
                yield Span(revision, max(revision.effective_from, after), until)

    def tally(self) -> dict[int, tuple[int, int]]:
        """By the last byte of the tasks' ids: how many are active, and the sum of their revisions."""
        return {bucket: (tasks, total) for bucket, (tasks, total) in enumerate(self._tally) if tasks}

    def revisions_in(self, buckets: Collection[int]) -> dict[bytes, int]:
        """The active tasks whose ids end with such a byte, each with its revision."""
        return {
            task_key: revision.revision for task_key, revision in self._active.items() if task_key[-1] in buckets
        }

    def _with_reboots(self, changes: list[Change]) -> list[Change]:
        return [
            change._replace(old=change.old and self._with_reboot(change.old), new=self._with_reboot(change.new))
            for change in changes
        ]

    def _groups_at(self, instant: datetime) -> list[_Group]:
        """Those that are due at `instant`; finds them from the heap's top without taking them off."""
        groups: dict[int, _Group] = {}
        pending = [0]
        while pending:
            index = pending.pop()
            if index >= len(self._order) or self._order[index][0] > instant:
                continue
            entry = self._order[index]
            if entry[0] == instant and self._is_current(entry):
                groups[id(entry[2])] = entry[2]
            pending += (2 * index + 1, 2 * index + 2)
        return list(groups.values())

    def _is_current(self, entry: tuple[datetime, int, _Group]) -> bool:
        group = entry[2]
        return group.next_at == entry[0] and self._groups.get(group.when) is group

    def _keep(self, revision: Revision) -> None:
        if not revision.is_active:
            self._inactive[revision.task_key] = revision
            return
        revision = self._with_reboot(revision)
        group = self._groups.get(revision.when)
        if group is None:
            group = self._groups[revision.when] = _Group(revision.when, self.watermark + TICK)
            self._push(group)
            if group.error is not None:
                self.unreadable.append((revision, group.error))
        elif revision.when is not group.when:
            revision = msgspec.structs.replace(revision, when=group.when)  # one object for all: a million are many
        self._active[revision.task_key] = revision
        group.listed.append(revision)
        group.size += 1
        self._count(revision, 1)

    def _drop(self, old: Revision) -> None:
        self._inactive.pop(old.task_key, None)
        kept = self._active.pop(old.task_key, None)
        if kept is None:
            return
        self._count(kept, -1)
        group = self._groups[kept.when]
        group.size -= 1
        if not group.size:
            del self._groups[kept.when]
        elif len(group.listed) > 2 * group.size + SPARE_ENTRIES:
            group.listed = self._members(group)

    def _members(self, group: _Group) -> list[Revision]:
        return [member for member in group.listed if self._active.get(member.task_key) is member]

    def _count(self, revision: Revision, sign: int) -> None:
        tally = self._tally[revision.task_key[-1]]
        tally[0] += sign
        tally[1] += sign * revision.revision

    def _with_reboot(self, revision: Revision) -> Revision:
        if revision.when.kind != "reboot" or revision.when.run_at == self._reboot_at:
            return revision
        when = revision.when._replace(run_at=self._reboot_at)
        return msgspec.structs.replace(revision, when=when)

    def _push(self, group: _Group) -> None:
        if len(self._order) > 2 * len(self._groups) + SPARE_ENTRIES:
            # Entries of groups that are gone would stay until their time comes, which may be next year.
            live = (other for other in self._groups.values() if other.next_at is not None)
            self._order = [(other.next_at, next(self._entries), other) for other in live if other.next_at]
            heapq.heapify(self._order)
        elif group.next_at is not None:
            heapq.heappush(self._order, (group.next_at, next(self._entries), group))
