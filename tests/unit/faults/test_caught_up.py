"""What an outage left is held against a look at every second, task by task."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from e2e.oracle import Row
from faults.matrix import caught_up
from faults.outage import Outage, Rules

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
TASK = UUID(int=7)
RULES = Rules(grace=timedelta(seconds=4), limit=1)


def at(second: int) -> datetime:
    return NOON + timedelta(seconds=second)


OUTAGE = Outage(at(0), at(10))  # second 6 and what is before are older than the grace
OWED = caught_up.owed_in(OUTAGE, 2, NOON)


def row(second: int, state: str = "succeeded", **fields: Any) -> Row:
    return {"task_id": TASK, "scheduled_for": at(second), "state": state, **fields}


def missed(first: int, last: int, count: int) -> Row:
    return row(last, "missed", missed_from=at(first), missed_count=count)


FIRED = [row(8), row(10)]  # whatever the policy


def problems(rows: list[Row], catch_up: str, *, emitted: int | None = None) -> list[str]:
    before = {(TASK, at(emitted))} if emitted is not None else set()
    return caught_up.problems({TASK: OWED}, rows, catch_up, OUTAGE, RULES, before)


def test_what_is_owed_is_after_the_beginning_and_up_to_the_end():
    assert [at(second) for second in (2, 4, 6, 8, 10)] == OWED


@pytest.mark.parametrize(
    ("catch_up", "rows"),
    [
        ("skip", [missed(2, 6, 3), *FIRED]),
        ("skip", [missed(1, 6, 3), *FIRED]),  # its range begins anywhere before the first
        ("latest", [missed(2, 6, 3), *FIRED]),
        ("all", [missed(2, 4, 2), row(6), *FIRED]),
    ],
)
def test_what_a_policy_leaves_is_well(catch_up: str, rows: list[Row]):
    assert problems(rows, catch_up) == []


@pytest.mark.parametrize(
    ("catch_up", "rows"),
    [
        ("skip", [missed(2, 4, 2), row(6), *FIRED]),  # as another policy would
        ("latest", [missed(2, 4, 2), row(6), *FIRED]),
        ("all", [missed(2, 6, 3), *FIRED]),
        ("all", [row(2), row(4), row(6), *FIRED]),  # more than the limit
        ("skip", [missed(2, 6, 3), row(10)]),  # one is not there
        ("skip", [missed(2, 8, 4), row(10)]),  # that was within the grace
        ("skip", [missed(2, 6, 2), *FIRED]),
    ],
)
def test_anything_else_is_found(catch_up: str, rows: list[Row]):
    assert problems(rows, catch_up)


def test_what_was_emitted_before_is_neither_missed_nor_counted():
    assert problems([row(2), missed(4, 6, 2), *FIRED], "skip", emitted=2) == []


def test_a_task_owes_nothing_of_the_time_before_it():
    assert caught_up.owed_in(OUTAGE, 2, at(5)) == [at(6), at(8), at(10)]


@pytest.mark.parametrize(("second", "is_outside"), [(0, True), (1, False), (10, False), (11, True)])
def test_what_is_missed_belongs_to_an_outage(second: int, is_outside: bool):
    assert bool(caught_up.outside([missed(second, second, 1)], [OUTAGE])) == is_outside
