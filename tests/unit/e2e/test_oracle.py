"""The judge of the crash tests finds each kind of fault."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from e2e.oracle import Account, Ended, Row
from tocsin_common.messages import execution_id
from tocsin_local.oracle import WatchedTask
from tocsin_local.post import Post

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
TASK = WatchedTask(UUID(int=7), "every second", "* * * * * *", NOON)
ENDED = Ended(TASK, NOON + timedelta(seconds=3))  # it owes the seconds 0, 1 and 2


def row(second: int, state: str = "succeeded", **fields: Any) -> Row:
    return {"task_id": TASK.task_id, "scheduled_for": NOON + timedelta(seconds=second), "state": state, **fields}


def missed(first: int, last: int, count: int | None) -> Row:
    return row(last, "missed", missed_from=NOON + timedelta(seconds=first), missed_count=count)


def post(second: int, status: int | None = 200, *, late_s: float = 0.1) -> Post:
    instant = NOON + timedelta(seconds=second)
    number = execution_id(TASK.task_id, instant)
    return Post("1", number, 1, instant + timedelta(seconds=late_s), b"", {}, {}, status)


def account(rows: list[Row], posts: list[Post], settled_s: int = 2) -> Account:
    return Account([ENDED], NOON + timedelta(seconds=settled_s), rows, posts)


ROWS = [row(0), row(1), row(2)]
POSTS = [post(0), post(1), post(2)]


@pytest.mark.parametrize(
    ("rows", "posts", "settled_s"),
    [
        (ROWS, POSTS, 2),
        ([*ROWS, row(3, "cancelled")], POSTS, 2),  # the leader did not know yet
        ([row(0), row(1), row(2, "cancelled")], POSTS[:2], 1),
        ([missed(0, 1, 2), row(2)], POSTS[2:], 2),
    ],
)
def test_it_is_content(rows: list[Row], posts: list[Post], settled_s: int):
    found = account(rows, posts, settled_s)

    assert found.problems() == []
    assert found.unfinished() == []


@pytest.mark.parametrize(
    ("rows", "posts"),
    [
        (ROWS[:2], POSTS[:2]),  # lost
        (ROWS, POSTS[:2]),  # recorded and never posted
        ([row(0), row(1), row(2, "running")], POSTS),
        ([row(0), row(1), row(2, "cancelled")], POSTS[:2]),  # by nobody
        (ROWS, [*POSTS, post(2)]),
        (ROWS, [post(0), post(1), post(2, 500)]),
        (ROWS, [post(0), post(1), post(2, late_s=-0.1)]),
        ([*ROWS, row(3)], POSTS),
        ([*ROWS, row(-1, "cancelled")], POSTS),
        (ROWS, [*POSTS, post(3)]),
        ([missed(0, 1, 3), row(2)], POSTS[2:]),
        ([missed(0, 1, None), row(2)], POSTS[2:]),
        ([missed(0, 1, 2), row(2)], POSTS[1:]),
        ([missed(0, 2, 3), row(1)], POSTS[1:2]),  # counted and posted
        ([missed(0, 1, 2), missed(1, 2, 2)], []),  # counted twice
    ],
)
def test_it_finds_what_is_wrong(rows: list[Row], posts: list[Post]):
    assert account(rows, posts).problems()


def test_it_takes_what_a_test_says_should_have_become_of_an_execution():
    first = execution_id(TASK.task_id, NOON)
    failed = account([row(0, "failed"), *ROWS[1:]], [post(0, 500), post(0, 400), *POSTS[1:]])

    assert failed.problems(states={first: "failed"}, answers={first: [500, 400]}) == []
    assert failed.problems(states={first: "failed"}, answers={first: [400]})


@pytest.mark.parametrize("rows", [ROWS[:2], [row(0), row(1), row(2, "waiting")], [missed(0, 1, 2)]])
def test_it_knows_what_has_not_ended(rows: list[Row]):
    [item] = account(rows, []).unfinished()

    assert item.scheduled_for == NOON + timedelta(seconds=2)
