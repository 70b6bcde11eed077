"""PURE. What tasks owed, by their schedules alone, held against every row and every POST that there is."""

from collections import defaultdict
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
        keys = {(row["task_id"], row["scheduled_for"]) for row in self.rows if row["state"] in TERMINAL}
        ranges = self.ranges()
        return [
            item
            for item in self.owed().values()
            if (item.task.task_id, item.scheduled_for) not in keys and not ranges.standing_for(item)
        ]

    def ranges(self) -> "Ranges":
        """The missed rows."""
        return Ranges(self.rows)

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
        ranges = self.ranges()
        found = [*self.unowed_rows(due), *self.unowed_posts(due), *self.miscounted(due)]
        for fate in fates(due, self.posts):
            number = execution_id(fate.owed.task.task_id, fate.owed.scheduled_for)
            expected = states.get(number, "succeeded"), list(answers.get(number, (200,)))
            found += self._wrong(fate, rows.get(number), len(ranges.standing_for(fate.owed)), *expected)
        return found

    def _wrong(self, fate: Fate, row: Row | None, missed: int, state: str, answers: list[int]) -> Iterator[str]:
        got = [post.status for post in fate.posts]
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

    def miscounted(self, due: Mapping[UUID, Owed]) -> Iterator[str]:
        """Missed rows whose number is not that of the instants of `due` that they stand for."""
        by_task: dict[UUID, list[Owed]] = defaultdict(list)
        for item in due.values():
            by_task[item.task.task_id].append(item)
        for row in self.rows:
            if row["state"] == "missed":
                count = sum(_stands_for(row, item) for item in by_task[row["task_id"]])
                if row["missed_count"] != (count if count <= COUNTED_MISSED else None):
                    yield f"a missed row counts {row['missed_count']} instants and stands for {count}"

    def unowed_rows(self, due: Mapping[UUID, Owed]) -> Iterator[str]:
        """Rows of what nobody owes.

        Before the leader knows that a task has ended, it may still write a row, which the claim cancels.
        """
        ends = {task.task_id: at for task, at in self.tasks}
        for row in self.rows:
            number = execution_id(row["task_id"], row["scheduled_for"])
            ended_at = ends.get(row["task_id"])
            in_time = row["state"] == "cancelled" and ended_at is not None and row["scheduled_for"] >= ended_at
            if number not in due and not in_time:
                yield f"nobody owes {row['scheduled_for']:%H:%M:%S}, which is {row['state']}"

    def unowed_posts(self, due: Mapping[UUID, Owed]) -> Iterator[str]:
        """POSTs of what nobody owes."""
        for post in self.posts:
            if post.execution_id not in due:
                yield f"nobody owes the POST of {post.arrived_at:%H:%M:%S}"


class Ranges:
    """Missed rows, each of which stands for all that its task owed from one instant to another."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._by_task: dict[UUID, list[Row]] = defaultdict(list)
        for row in rows:
            if row["state"] == "missed":
                self._by_task[row["task_id"]].append(row)

    def standing_for(self, item: Owed) -> list[Row]:
        """Those that stand for `item`; there should be one at most."""
        return [row for row in self._by_task.get(item.task.task_id, ()) if _stands_for(row, item)]


def _stands_for(row: Row, item: Owed) -> bool:
    """Whether a missed row is of that task and from before to after that instant."""
    is_of_the_task: bool = row["task_id"] == item.task.task_id
    return is_of_the_task and row["missed_from"] <= item.scheduled_for <= row["scheduled_for"]
