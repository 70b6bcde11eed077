"""The judge of the fault matrix finds each kind of mistake, planted one at a time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from e2e.oracle import Account, Ended, Row
from faults.matrix.verdict import Counts, Log, Rules, Verdict, judge
from tocsin_common.messages import execution_id
from tocsin_local.oracle import WatchedTask
from tocsin_local.post import Post

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
TASK = WatchedTask(UUID(int=7), "every second", "* * * * * *", NOON)
UNTIL = NOON + timedelta(seconds=2)  # it owes the seconds 0, 1 and 2
RULES = Rules(timedelta(seconds=60), timedelta(seconds=10), {"succeeded", "missed"})
CLAIM_S = 30.0


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def row(second: int, state: str = "succeeded", *, decided_s: float = 0, **fields: Any) -> Row:
    instant = after(second)
    key = {"task_id": TASK.task_id, "scheduled_for": instant, "created_at": after(second + decided_s)}
    return {**key, "state": state, **fields}


def missed(first: int, last: int, *, decided_s: float = 60, count: int | None = None) -> Row:
    number = last - first + 1 if count is None else count
    return row(last, "missed", decided_s=decided_s, missed_from=after(first), missed_count=number)


def post(second: int, status: int | None = 200, *, late_s: float = 0.1, execution: UUID | None = None) -> Post:
    number = execution or execution_id(TASK.task_id, after(second))
    return Post("1", number, 1, after(second + late_s), b"", {}, {}, status)


def log(second: int, outcome: str = "succeeded", *, late_s: float = 0.2) -> Log:
    return {
        "task_id": TASK.task_id,
        "scheduled_for": after(second),
        "outcome": outcome,
        "created_at": after(second + late_s),
    }


ROWS = [row(0), row(1), row(2)]
POSTS = [post(0), post(1), post(2)]
LOGS = [log(0), log(1), log(2)]


def verdict(
    rows: list[Row] = ROWS, posts: list[Post] = POSTS, logs: list[Mapping[str, Any]] = LOGS, rules: Rules = RULES
) -> Verdict:
    account = Account([Ended(TASK, UNTIL + timedelta(microseconds=1))], UNTIL, rows, posts)
    return judge(account, logs, rules)


def invariants(found: Verdict) -> set[str]:
    return {problem.partition(":")[0] for problem in found.problems}


def test_it_is_content_where_all_is_well():
    found = verdict()

    assert found == Verdict(Counts(3, 3, 0, 0, 0, 0, 0, 0), [])


@pytest.mark.parametrize(
    ("rows", "posts"),
    [
        (ROWS[:2], POSTS[:2]),  # a lost row
        (ROWS[:2], POSTS),  # that was posted nevertheless
        ([*ROWS[:2], row(2, "running")], POSTS),
        ([*ROWS[:2], row(2, "failed")], POSTS),  # which this fault should not come to
        (ROWS, POSTS[:2]),  # a success that nobody was told
        (ROWS, [*POSTS[:2], post(2, None)]),
        ([*ROWS, row(3)], POSTS),  # nobody owes it
        ([missed(0, 1), row(1), row(2)], POSTS[1:]),  # counted, and there
        ([missed(0, 0), missed(0, 1), row(2)], POSTS[2:]),  # counted twice
        ([missed(0, 1, count=3), row(2)], POSTS[2:]),
        ([missed(0, 1), row(2)], POSTS[1:]),  # missed, and posted
        ([missed(0, 1, decided_s=59.9), row(2)], POSTS[2:]),  # which was within the grace
    ],
)
def test_it_finds_what_is_not_accounted_for_once(rows: list[Row], posts: list[Post]):
    found = verdict(rows, posts)

    assert invariants(found) == {"I1"}


def test_it_counts_what_is_lost():
    assert verdict(ROWS[:1], POSTS[:1]).counts.lost == 2


@pytest.mark.parametrize(
    ("posts", "logs"),
    [
        ([*POSTS, post(2, late_s=CLAIM_S)], LOGS),  # the first was recorded as a success
        ([*POSTS, post(2, late_s=5)], LOGS[:2]),  # not recorded, but the claim still held
        ([*POSTS, post(2, late_s=0.11)], [*LOGS[:2], log(2, late_s=0.3)]),  # two at a time
        ([*POSTS, post(2, late_s=CLAIM_S), post(2, late_s=2 * CLAIM_S)], [*LOGS[:2], log(2, late_s=CLAIM_S + 1)]),
    ],
)
def test_it_finds_a_second_post_without_a_reason(posts: list[Post], logs: list[Log]):
    found = verdict(posts=posts, logs=logs)

    assert invariants(found) == {"I2"}
    assert found.counts.extra_unexplained == 1


@pytest.mark.parametrize("execution", [UUID(int=9), execution_id(TASK.task_id, after(3))])
def test_it_finds_a_post_that_nobody_owes(execution: UUID):
    found = verdict(posts=[*POSTS, post(2, execution=execution)])

    assert invariants(found) == {"I2"}


def test_it_finds_an_early_post():
    found = verdict(posts=[*POSTS[:2], post(2, late_s=-0.001)])

    assert invariants(found) == {"I3"}
    assert found.counts.early == 1


@pytest.mark.parametrize(
    ("posts", "logs", "explained"),
    [
        # Whoever got the answer died, and the claim ran out.
        ([*POSTS, post(2, late_s=CLAIM_S)], [*LOGS[:2], log(2, late_s=CLAIM_S + 1)], 1),
        # It did not die, and recorded late.
        ([*POSTS, post(2, late_s=CLAIM_S)], [*LOGS[:2], log(2, late_s=CLAIM_S + 1), log(2, late_s=99)], 1),
        # The answer was lost on its way: that was recorded, and it was tried again.
        ([*POSTS, post(2, late_s=1.5)], [*LOGS[:2], log(2, "retryable"), log(2, late_s=2)], 1),
        # A failure that was answered and recorded is an ordinary retry.
        ([*POSTS[:2], post(2, 500), post(2, late_s=1.5)], [*LOGS[:2], log(2, "retryable"), log(2, late_s=2)], 0),
    ],
)
def test_it_knows_what_explains_a_second_post(posts: list[Post], logs: list[Log], explained: int):
    found = verdict(posts=posts, logs=logs)

    assert found.problems == []
    assert found.counts.extra_explained == explained


@pytest.mark.parametrize(
    ("late_s", "logs", "kind"),
    [
        (1.5, [log(2, "retryable"), log(2, late_s=2)], "not received"),
        (CLAIM_S, [log(2, late_s=CLAIM_S + 1)], "not recorded"),
        (CLAIM_S, [log(2)], "unexplained"),
    ],
)
def test_it_says_what_came_of_the_answer_before(late_s: float, logs: list[Log], kind: str):
    found = verdict(posts=[*POSTS, post(2, late_s=late_s)], logs=[*LOGS[:2], *logs])

    assert found.again == {kind: 1}


def test_it_takes_what_is_missed_beyond_the_grace():
    found = verdict([missed(0, 1), row(2)], POSTS[2:])

    assert found.problems == []
    assert found.counts.missed == 2
    assert found.counts.lost == 0


FAILURES_S = 0.1, 1.5, 4, 9
FAILED_ROWS = [*ROWS[:2], row(2, "failed")]
FAILED_POSTS = [*POSTS[:2], *(post(2, 500, late_s=each) for each in FAILURES_S)]
FAILED_LOGS = [*LOGS[:2], *(log(2, "retryable", late_s=each + 0.01) for each in FAILURES_S)]
MAY_FAIL = RULES._replace(ends={"succeeded", "failed"})


def test_it_takes_the_ends_that_a_fault_may_come_to():
    found = verdict(FAILED_ROWS, FAILED_POSTS, FAILED_LOGS, MAY_FAIL)

    assert found.problems == []
    assert found.counts.failed == 1


def test_it_finds_a_failure_that_was_recorded_as_a_success_before():
    found = verdict([*ROWS[:2], row(2, "failed")], rules=MAY_FAIL)

    assert invariants(found) == {"I1"}


def test_a_refusal_by_a_limit_is_no_attempt():
    refusal, its_log = post(2, 429, late_s=0.05), log(2, "limited", late_s=0.06)

    found = verdict(FAILED_ROWS, [refusal, *FAILED_POSTS], [its_log, *FAILED_LOGS], MAY_FAIL)

    assert found.problems == []


@pytest.mark.parametrize(
    ("state", "attempts", "invariant"),
    [
        ("failed", 3, "I1"),  # with one left
        ("failed", 5, "I2"),
        ("succeeded", 5, "I2"),
    ],
)
def test_it_finds_what_failed_too_early_and_what_was_tried_too_often(state: str, attempts: int, invariant: str):
    times = range(1, attempts + 1)
    posts = [*POSTS[:2], *(post(2, 500, late_s=each) for each in times)]
    logs = [*LOGS[:2], *(log(2, "retryable", late_s=each + 0.1) for each in times)]
    if state == "succeeded":
        posts.append(post(2, late_s=9))

    found = verdict([*ROWS[:2], row(2, state)], posts, logs, MAY_FAIL)

    assert invariants(found) == {invariant}


@pytest.mark.parametrize(("hostile", "is_well"), [({TASK.task_id}, True), ({UUID(int=8)}, False)])
def test_what_a_hostile_receiver_was_to_get_may_end_otherwise(hostile: set[UUID], is_well: bool):
    rules = RULES._replace(hostile=hostile, hostile_ends={"succeeded", "failed"})

    found = verdict(FAILED_ROWS, FAILED_POSTS, FAILED_LOGS, rules)

    assert (found.problems == []) == is_well
