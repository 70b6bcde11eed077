"""PURE. What tasks owe that their users change, stop, start and run by hand in the middle of a run.

Since when each change holds is the database's word, within the time that the user waited for the answer; that each
was asked for, and no other, is the users'.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from e2e.oracle import Ended, Row
from faults.matrix.attempts import Log
from tocsin_local.oracle import Owed, WatchedTask
from tocsin_local.post import Post

ACTIVE = "ACTIVE"
BY_SCHEDULE = "schedule"
UNSEEN = timedelta(seconds=5)
"""So long after a change a leader may still emit what its task owed before: it reads the changes every 2 s, or
sooner, and emits nothing by what it read 4 s ago."""
CLAIMING = timedelta(seconds=5)
"""From what a claim sees of a task to the end that it gives to an execution, at the most."""
SEEN_BY_CLAIMS = timedelta(seconds=1)
"""What is due so long after a stop is claimed by a statement that sees the stop."""


class Wish(NamedTuple):
    """How a user wants a task to be."""

    status: str
    schedule: str


class Granted(NamedTuple):
    """A wish that the API has said yes to."""

    wish: Wish
    asked_at: datetime
    answered_at: datetime


class Revision(NamedTuple):
    """How a task became, by the database."""

    effective_from: datetime
    wish: Wish


class Edited(NamedTuple):
    """A task that its user changes."""

    task: WatchedTask
    granted: list[Granted]
    """In this order, as it was created first."""


class Edits(NamedTuple):
    """What follows from all of them."""

    owed: Sequence[Ended] = ()
    """A task several times, with the schedule of that time."""
    unseen: Sequence[Ended] = ()
    """What may be there beside it: nobody could know yet that it is not owed any more."""
    single: Sequence[Owed] = ()
    """Runs by hand, and tasks that run once."""
    stops: Mapping[UUID, Sequence[tuple[datetime, datetime]]] = {}
    """From when until when a task was stopped."""
    problems: Sequence[str] = ()

    def may_have_cancelled(self, row: Row | None) -> bool:
        """Whether its task was stopped when this execution ended. A run by hand goes on all the same."""
        if row is None or row["state"] != "cancelled" or row["kind"] != BY_SCHEDULE:
            return False
        stops = self.stops.get(row["task_id"], ())
        return any(since <= row["finished_at"] <= until + CLAIMING for since, until in stops)

    def posted_while_stopped(
        self, row: Row | None, posts: Sequence[Post], logs: Sequence[Log], claim_ttl: timedelta
    ) -> Iterator[str]:
        """What its claim should have refused."""
        if row is None or row["task_id"] not in self.stops or row["kind"] != BY_SCHEDULE:
            return
        for since, until in self.stops[row["task_id"]]:
            is_of_the_stop = since + SEEN_BY_CLAIMS <= row["scheduled_for"] < until
            if is_of_the_stop and any(post.arrived_at < until for post in posts):
                yield "is of a time in which its task was stopped, and was posted then"
            if any(since + claim_ttl < log["execution_time"] < until for log in logs):
                yield "has an attempt that began when its task had been stopped for longer than a claim holds"


NO_EDITS = Edits()


def follow(
    edited: Iterable[Edited], revisions: Mapping[UUID, Sequence[Revision]], single: Sequence[Owed], end: datetime
) -> Edits:
    """What tasks owe before `end`, by the revisions of each in their order."""
    owed: list[Ended] = []
    unseen: list[Ended] = []
    stops: dict[UUID, list[tuple[datetime, datetime]]] = {}
    problems: list[str] = []
    for task, granted in edited:
        became = revisions.get(task.task_id, ())
        problems += [f"I1: {task.task_id} {wrong}" for wrong in _differences(granted, became)]
        ends = [*(each.effective_from for each in became[1:]), end]
        for (since, wish), until in zip(became, ends, strict=False):  # nothing where it became nothing
            if wish.status == ACTIVE:
                then = task._replace(schedule=wish.schedule, effective_from=since)
                owed.append(Ended(then, until))
                unseen.append(Ended(then._replace(effective_from=until), min(until + UNSEEN, end)))
            else:
                stops.setdefault(task.task_id, []).append((since, until))
    return Edits(owed, unseen, [each for each in single if each.scheduled_for < end], stops, problems)


def _differences(granted: Sequence[Granted], became: Sequence[Revision]) -> Iterator[str]:
    if [each.wish for each in became] != [each.wish for each in granted]:
        wishes, found = _words(each.wish for each in granted), _words(each.wish for each in became)
        yield f"was to become {wishes}, and became {found}"
        return
    for (_, asked_at, answered_at), (since, wish) in zip(granted, became, strict=True):
        if not asked_at <= since <= answered_at:
            yield f"is {_words([wish])} since {since}; that was asked for at {asked_at}, answered at {answered_at}"


def _words(wishes: Iterable[Wish]) -> str:
    return ", ".join(f"{wish.status} {wish.schedule}" for wish in wishes) or "nothing"
