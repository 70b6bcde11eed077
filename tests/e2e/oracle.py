"""PURE. What tasks owed, by their schedules alone, held against every row and every POST that there is."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from tocsin_common.messages import execution_id
from tocsin_local.oracle import MICROSECOND, Fate, Owed, WatchedTask, fates, owed
from tocsin_local.post import Post

TERMINAL = frozenset({"succeeded", "failed", "missed", "skipped", "expired", "cancelled"})
COUNTED_MISSED = 1000  # a missed row that stands for more says no number

Row = Mapping[str, Any]
"""A row of `executions`."""


class Ended(NamedTuple):
    """A task that owes nothing any more."""

    task: WatchedTask
    at: datetime
    """Effective-from of the revision that ended it: its instants before that are owed."""


class Account(NamedTuple):
    """What tasks owed and what became of it."""

    tasks: Sequence[Ended]
    settled_until: datetime
    """What was owed later may have been cancelled with its task."""
    rows: Sequence[Row]
    posts: Sequence[Post]

    def owed(self) -> dict[UUID, Owed]:
        """Every execution that was owed, by its id."""
        found: dict[UUID, Owed] = {}
        for task, at in self.tasks:
            found |= owed([task], until=at - MICROSECOND)
        return found

    def unfinished(self) -> list[Owed]:
        """What is owed and is in no terminal state."""
        ended = [row for row in self.rows if row["state"] in TERMINAL]
        keys = {(row["task_id"], row["scheduled_for"]) for row in ended}
        return [
            item
            for item in self.owed().values()
            if (item.task.task_id, item.scheduled_for) not in keys
            and not any(_stands_for(row, item) for row in ended)
        ]

    def problems(
        self, *, answers: Mapping[UUID, Sequence[int]] = {}, states: Mapping[UUID, str] = {}
    ) -> list[str]:
        """What is not as it should be, in words.

        It should be that each owed execution succeeded with one POST and no other was posted, none early. A missed
        row may stand for executions instead. `answers` and `states` name executions that should have ended
        otherwise, with the answers to their POSTs.
        """
        due = self.owed()
        rows = {execution_id(row["task_id"], row["scheduled_for"]): row for row in self.rows}
        found = [*self._unowed(due, rows), *self._miscounted(due)]
        for fate in fates(due, self.posts):
            number = execution_id(fate.owed.task.task_id, fate.owed.scheduled_for)
            expected = states.get(number, "succeeded"), list(answers.get(number, (200,)))
            found += self._wrong(fate, rows.get(number), *expected)
        return found

    def _wrong(self, fate: Fate, row: Row | None, state: str, answers: list[int]) -> Iterator[str]:
        got = [post.status for post in fate.posts]
        missed = sum(_stands_for(other, fate.owed) for other in self.rows)
        actual = "not there" if row is None else row["state"]
        was = f"{fate.owed.task.name} at {fate.owed.scheduled_for:%H:%M:%S} is {actual} after {got}"
        if fate.early:
            yield f"{was}, and early"
        if row is None or actual == "missed":
            if got or missed != 1:
                yield f"{was}, and {missed} missed rows stand for it"
        elif missed:
            yield f"{was}, and missed rows stand for it too"
        elif actual == "cancelled" and fate.owed.scheduled_for > self.settled_until:
            if got:
                yield f"{was}"
        elif (actual, got) != (state, answers):
            yield f"{was}, not {state} after {answers}"

    def _miscounted(self, due: Mapping[UUID, Owed]) -> Iterator[str]:
        for row in self.rows:
            if row["state"] == "missed":
                count = sum(_stands_for(row, item) for item in due.values())
                if row["missed_count"] != (count if count <= COUNTED_MISSED else None):
                    yield f"a missed row counts {row['missed_count']} instants and stands for {count}"

    def _unowed(self, due: Mapping[UUID, Owed], rows: Mapping[UUID, Row]) -> Iterator[str]:
        """Before the leader knows that a task has ended, it may still write a row, which the claim cancels."""
        ends = {task.task_id: at for task, at in self.tasks}
        for number, row in rows.items():
            in_time = row["state"] == "cancelled" and row["scheduled_for"] >= ends[row["task_id"]]
            if number not in due and not in_time:
                yield f"nobody owes {row['scheduled_for']:%H:%M:%S}, which is {row['state']}"
        for post in self.posts:
            if post.execution_id not in due:
                yield f"nobody owes the POST of {post.arrived_at:%H:%M:%S}"


def _stands_for(row: Row, item: Owed) -> bool:
    """Whether a missed row is of that task and from before to after that instant."""
    return (
        row["state"] == "missed"
        and row["task_id"] == item.task.task_id
        and row["missed_from"] <= item.scheduled_for <= row["scheduled_for"]
    )
