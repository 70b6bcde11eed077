"""PURE. What tasks owe that their users change, stop, start and run by hand in the middle of a run.

Since when each change holds is the database's word; that each was asked for, and no other, is the users'.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from e2e.oracle import Ended, Row
from tocsin_local.oracle import Owed, WatchedTask

ACTIVE = "ACTIVE"
UNSEEN = timedelta(seconds=5)
"""So long after a change a leader may still emit what its task owed before: it reads the changes every 2 s, or
sooner, and emits nothing by what it read 4 s ago."""
CLAIMING = timedelta(seconds=5)
"""From what a claim sees of a task to the end that it gives to an execution, at the most."""


class Wish(NamedTuple):
    """How a user wants a task to be."""

    status: str
    schedule: str


class Revision(NamedTuple):
    """How it became, by the database."""

    effective_from: datetime
    wish: Wish


class Edited(NamedTuple):
    """A task that its user changes."""

    task: WatchedTask
    wishes: list[Wish]
    """What the API has said yes to, in this order, as it was created first."""


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
        """Whether its task was stopped when this execution ended."""
        if row is None or row["state"] != "cancelled":
            return False
        stops = self.stops.get(row["task_id"], ())
        return any(since <= row["finished_at"] <= until + CLAIMING for since, until in stops)


NO_EDITS = Edits()


def follow(
    edited: Iterable[Edited], revisions: Mapping[UUID, Sequence[Revision]], single: Sequence[Owed], end: datetime
) -> Edits:
    """What tasks owe before `end`, by the revisions of each in their order."""
    owed: list[Ended] = []
    unseen: list[Ended] = []
    stops: dict[UUID, list[tuple[datetime, datetime]]] = {}
    problems: list[str] = []
    for task, wishes in edited:
        became = revisions.get(task.task_id, ())
        if [each.wish for each in became] != wishes:
            problems.append(f"I1: {task.task_id} was to become {_words(wishes)}, and became {_words(became)}")
        ends = [*(each.effective_from for each in became[1:]), end]
        for (since, wish), until in zip(became, ends, strict=False):  # nothing where it became nothing
            if wish.status == ACTIVE:
                then = task._replace(schedule=wish.schedule, effective_from=since)
                owed.append(Ended(then, until))
                unseen.append(Ended(then._replace(effective_from=until), min(until + UNSEEN, end)))
            else:
                stops.setdefault(task.task_id, []).append((since, until))
        problems += [
            f"I1: a change of {task.task_id} holds since {after.effective_from}, before the one before it"
            for before, after in pairwise(became)
            if after.effective_from <= before.effective_from
        ]
    return Edits(owed, unseen, [each for each in single if each.scheduled_for < end], stops, problems)


def _words(steps: Iterable[Wish | Revision]) -> str:
    wishes = [step.wish if isinstance(step, Revision) else step for step in steps]
    return ", ".join(f"{wish.status} {wish.schedule}" for wish in wishes) or "nothing"
