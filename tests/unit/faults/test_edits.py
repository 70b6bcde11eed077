"""What is owed of tasks that users change, and that the judge of the fault matrix finds what is wrong with it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from e2e.oracle import Account, Row
from faults.matrix import edits, owed, verdict
from faults.matrix.attempts import Log
from faults.matrix.cases import Address, Rules
from faults.matrix.edits import ACTIVE, Edited, Edits, Revision, Wish
from faults.matrix.verdict import Records, Verdict
from tocsin_common.messages import execution_id
from tocsin_local.oracle import Owed, WatchedTask
from tocsin_local.post import Post

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
TASK = WatchedTask(UUID(int=7), "changed", "* * * * * *", NOON)
RULES = Rules(
    timedelta(seconds=60), timedelta(seconds=30), {TASK.task_id: Address("1", "hello")}, frozenset({"succeeded"})
)
EACH_SECOND, EVEN = Wish(ACTIVE, "* * * * * *"), Wish(ACTIVE, "*/2 * * * * *")
STOPPED = Wish("INACTIVE", EVEN.schedule)
BY_HAND = 3.25


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


# Changed at 2.5, stopped at 4.5, started at 12.5, and all ends at 15.
REVISIONS = [
    Revision(NOON, EACH_SECOND),
    Revision(after(2.5), EVEN),
    Revision(after(4.5), STOPPED),
    Revision(after(12.5), EVEN),
]
OWED = (0, 1, 2, BY_HAND, 4, 14)


def row(second: float, state: str = "succeeded", *, ended_s: float = 0.2) -> Row:
    instant = after(second)
    key = {"task_id": TASK.task_id, "scheduled_for": instant, "created_at": instant}
    return {**key, "state": state, "seq": 1, "jitter_ms": 0, "finished_at": after(second + ended_s)}


def post(second: float) -> Post:
    number = execution_id(TASK.task_id, after(second))
    return Post("1", number, 1, after(second + 0.1), b'{"content": "hello"}', {}, {}, 200)


def log(second: float) -> Log:
    return {
        "task_id": TASK.task_id,
        "scheduled_for": after(second),
        "seq": 1,
        "outcome": "succeeded",
        "http_status": 200,
        "ambiguous": False,
        "execution_time": after(second + 0.09),
        "duration_ms": 20,
        "created_at": after(second + 0.12),
    }


def followed(revisions: Sequence[Revision] = REVISIONS) -> Edits:
    mine = Edited(TASK, [each.wish for each in REVISIONS])
    return edits.follow(
        [mine], {TASK.task_id: revisions}, [Owed(TASK, after(BY_HAND)), Owed(TASK, after(16))], after(15)
    )


def judged(posted: Sequence[float], *others: Row) -> Verdict:
    account = Account([], after(15), [*map(row, posted), *others], [post(each) for each in posted])
    return verdict.judge(account, Records([log(each) for each in posted]), RULES, followed())


def invariants(found: Verdict) -> set[str]:
    return {problem.partition(":")[0] for problem in found.problems}


def seconds(ended: Any) -> list[float]:
    return [(each.scheduled_for - NOON).total_seconds() for each in owed.until_ended(ended).values()]


def test_each_revision_owes_its_own_instants_until_the_next_one():
    found = followed()

    assert seconds(found.owed) == [0, 1, 2, 4, 14]
    assert seconds(found.unseen) == [3, 4, 5, 6, 7, 8]
    assert found.stops == {TASK.task_id: [(after(4.5), after(12.5))]}
    assert found.problems == []


def test_it_is_content_where_all_is_well():
    found = judged(OWED)

    assert found.problems == []
    assert (found.counts.owed, found.counts.lost) == (len(OWED), 0)


@pytest.mark.parametrize("second", OWED)
def test_it_finds_what_is_not_there(second: float):
    found = judged([each for each in OWED if each != second])

    assert invariants(found) == {"I1"}
    assert found.counts.lost == 1


@pytest.mark.parametrize("second", [3, 5, 7])
def test_what_a_leader_could_not_know_yet_may_be_there(second: float):
    assert judged([*OWED, second]).problems == []


@pytest.mark.parametrize("second", [9, 10, 12, 13])
def test_it_finds_what_is_not_owed_any_more_or_not_yet(second: float):
    assert invariants(judged([*OWED, second])) == {"I1", "I2"}


@pytest.mark.parametrize(
    ("second", "ended_s", "is_well"),
    [
        (4, 1, True),  # owed before it was stopped, and not claimed by then
        (4, 8, True),
        (4, 0.2, False),  # it was not stopped yet
        (4, 20, False),  # it goes on long since
        (14, 0.2, True),  # by a claim that saw the task before it was started
        (1, 0.2, False),
    ],
)
def test_only_what_ends_while_its_task_is_stopped_may_be_cancelled(second: float, ended_s: float, is_well: bool):
    others = [each for each in OWED if each != second]

    found = judged(others, row(second, "cancelled", ended_s=ended_s))

    assert invariants(found) == (set() if is_well else {"I1"})


@pytest.mark.parametrize(
    "became",
    [
        REVISIONS[:-1],  # the last change was lost
        [*REVISIONS[:2], *REVISIONS[1:]],  # one was done twice
        [REVISIONS[0], *REVISIONS[2:]],
        [],
    ],
    ids=["the last is lost", "one is there twice", "one is lost", "nothing is there"],
)
def test_it_finds_a_change_that_was_lost_or_done_twice(became: list[Revision]):
    assert any(text.startswith("I1") for text in followed(became).problems)


def test_it_finds_a_change_that_holds_before_the_one_before_it():
    became = [*REVISIONS[:3], REVISIONS[3]._replace(effective_from=after(4))]

    assert any(text.startswith("I1") for text in followed(became).problems)
