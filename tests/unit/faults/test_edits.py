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
from faults.matrix.edits import ACTIVE, Edited, Edits, Granted, Revision, Wish
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
    kind = "manual" if second == BY_HAND else "schedule"
    key = {"task_id": TASK.task_id, "scheduled_for": instant, "created_at": instant, "kind": kind}
    return {**key, "state": state, "seq": 1, "jitter_ms": 0, "finished_at": after(second + ended_s)}


def post(second: float, late_s: float = 0.1) -> Post:
    number = execution_id(TASK.task_id, after(second))
    return Post("1", number, 1, after(second + late_s), b'{"content": "hello"}', {}, {}, 200)


def log(second: float, late_s: float = 0.09) -> Log:
    return {
        "task_id": TASK.task_id,
        "scheduled_for": after(second),
        "seq": 1,
        "outcome": "succeeded",
        "http_status": 200,
        "ambiguous": False,
        "execution_time": after(second + late_s),
        "duration_ms": 20,
        "created_at": after(second + late_s + 0.03),
    }


def granted(revisions: Sequence[Revision] = REVISIONS, *, late_s: float = 0) -> list[Granted]:
    """Each asked for right before and answered right after, or so much later."""
    moment, late = timedelta(milliseconds=10), timedelta(seconds=late_s)
    return [
        Granted(each.wish, each.effective_from - moment + late, each.effective_from + moment + late)
        for each in revisions
    ]


def followed(revisions: Sequence[Revision] = REVISIONS) -> Edits:
    single = [Owed(TASK, after(BY_HAND)), Owed(TASK, after(16))]
    return edits.follow([Edited(TASK, granted())], {TASK.task_id: revisions}, single, after(15))


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


def test_what_a_leader_could_not_know_yet_may_be_there():
    assert judged([*OWED, 3]).problems == []  # it came each second until 2.5
    assert judged(OWED, row(6, "cancelled"), row(8, "cancelled")).problems == []  # it was stopped at 4.5


@pytest.mark.parametrize("second", [6, 7, 8])
def test_it_finds_what_was_posted_although_its_task_was_stopped(second: float):
    assert invariants(judged([*OWED, second])) == {"I1"}


@pytest.mark.parametrize(("late_s", "is_well"), [(0.2, True), (29, True), (31, False)])
def test_it_finds_an_attempt_that_began_long_after_its_task_was_stopped(late_s: float, is_well: bool):
    stopped = Edits(stops={TASK.task_id: [(NOON, after(60))]})

    found = list(stopped.posted_while_stopped(row(-1), [], [log(0, late_s)], RULES.claim_ttl))

    assert (found == []) is is_well


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
        (BY_HAND, 2, False),  # by hand, whether it is stopped or not
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


@pytest.mark.parametrize("late_s", [-1, 1])
def test_it_finds_a_change_that_does_not_hold_from_when_it_was_made(late_s: float):
    mine = Edited(TASK, granted(late_s=late_s))

    found = edits.follow([mine], {TASK.task_id: REVISIONS}, [], after(15))

    assert [text[:2] for text in found.problems] == ["I1"] * len(REVISIONS)
