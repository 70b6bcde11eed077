"""PURE. What Tocsin owes in a window of time, and what became of it, judged by the POSTs that arrived."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import NamedTuple
from uuid import UUID

from tocsin_common import schedule
from tocsin_common.messages import execution_id, log_id
from tocsin_local.post import Post

LIMITED = 429
MOST_GRANTS = 50  # of one execution: retries, refusals by a limit and lost claims, amply
MICROSECOND = timedelta(microseconds=1)
AHEAD = timedelta(minutes=1)
"""How far the ledger looks ahead, at least: a POST that comes early is known for what it is."""

UsedUp = Mapping[str, Sequence[tuple[datetime, datetime]]]
"""By webhook id: from when until when its limit was used up, in order."""


class WatchedTask(NamedTuple):
    """A task that was created and stays as it is."""

    task_id: UUID
    name: str
    schedule: str
    """In UTC."""
    effective_from: datetime
    """Aware; from this instant on, included, its schedule is owed."""


class Owed(NamedTuple):
    """One execution that a task owes."""

    task: WatchedTask
    scheduled_for: datetime
    """Aware, UTC."""


class Fate(NamedTuple):
    """What became of one owed execution: its POSTs, in order of arrival."""

    owed: Owed
    posts: tuple[Post, ...]
    held_back: bool
    """Its first POST came after its webhook's limit had been used up: the sender waited, as it should."""

    @property
    def successes(self) -> int:
        """POSTs that were answered 2xx: 0 is lost, more than 1 is doubled."""
        return sum(post.succeeded for post in self.posts)

    @property
    def limited(self) -> bool:
        """The webhook's limit made it wait: it was held back, or answered 429."""
        return self.held_back or any(post.status == LIMITED for post in self.posts)

    @property
    def retried(self) -> bool:
        """An attempt failed (an answer other than 2xx and 429, or none), and there was another."""
        return any(not post.succeeded and post.status != LIMITED for post in self.posts[:-1])

    @property
    def early(self) -> bool:
        """A POST arrived before its instant."""
        return any(post.arrived_at < self.owed.scheduled_for for post in self.posts)


class Ledger:
    """Knows which execution a POST is of, as time goes on."""

    def __init__(self, tasks: Sequence[WatchedTask]) -> None:
        self._tasks = tasks
        self._known: dict[UUID, Owed] = {}
        self._until: datetime | None = None

    def find(self, post: Post) -> Owed | None:
        """What `post` is for; None where nobody owes it."""
        if self._until is None or post.arrived_at + AHEAD > self._until:
            until = post.arrived_at + 2 * AHEAD
            self._known |= owed(self._tasks, until=until, after=self._until)
            self._until = until
        return self._known.get(post.execution_id) if post.execution_id is not None else None


def owed(tasks: Iterable[WatchedTask], *, until: datetime, after: datetime | None = None) -> dict[UUID, Owed]:
    """Every execution owed by `tasks`, by its id.

    From each task's effective-from (or from `after`, itself left out, if that is later) to `until`, included.
    """
    return {
        execution_id(task.task_id, instant): Owed(task, instant)
        for task in tasks
        for instant in _instants(task, until, after)
    }


def fates(executions: Mapping[UUID, Owed], posts: Sequence[Post]) -> list[Fate]:
    """The fate of each of `executions`; POSTs of others are left out."""
    mine: dict[UUID | None, list[Post]] = defaultdict(list)
    for post in posts:
        mine[post.execution_id].append(post)
    spans = used_up(posts)
    return [
        Fate(owed, tuple(mine[number]), bool(mine[number]) and held_back(owed, mine[number][0], spans))
        for number, owed in executions.items()
    ]


def logged(executions: Mapping[UUID, Owed], log_ids: Container[UUID]) -> set[UUID]:
    """Those of `executions` that one of the log rows is of."""
    return {
        number
        for number, (task, instant) in executions.items()
        if any(log_id(task.task_id, instant, seq) in log_ids for seq in range(1, MOST_GRANTS + 1))
    }


def lateness_ms(owed: Owed, post: Post) -> float:
    """Arrival minus scheduled-for."""
    return (post.arrived_at - owed.scheduled_for).total_seconds() * 1000


def used_up(posts: Iterable[Post]) -> UsedUp:
    """When each webhook's limit was used up, and until when."""
    found: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for post in posts:
        if post.remaining == 0 and post.limit_resets_at is not None:
            found[post.webhook_id].append((post.arrived_at, post.limit_resets_at))
    return {webhook_id: sorted(spans) for webhook_id, spans in found.items()}


def held_back(owed: Owed, first: Post, limits: UsedUp) -> bool:
    """Whether the limit was used up at some time between the instant and the first POST."""
    spans = limits.get(first.webhook_id, [])
    before = bisect_left(spans, first.arrived_at, key=lambda span: span[0])
    return before > 0 and spans[before - 1][1] > owed.scheduled_for


def _instants(task: WatchedTask, until: datetime, after: datetime | None) -> Iterator[datetime]:
    start = task.effective_from if after is None else max(task.effective_from, after + MICROSECOND)
    every = schedule.instants(task.schedule, "UTC", start=start)
    return takewhile(lambda instant: instant <= until, every)
