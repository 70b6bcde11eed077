"""The judge of the fault matrix finds each kind of mistake, planted one at a time."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from e2e.oracle import Account, Ended, Row
from faults.matrix import attempts
from faults.matrix.attempts import Log, Loss, Span
from faults.matrix.cases import Address, Rules
from faults.matrix.fault import ANY_REPEAT
from faults.matrix.verdict import Counts, Key, Records, Verdict, came_late, judge
from tocsin_common.messages import execution_id
from tocsin_local.oracle import WatchedTask
from tocsin_local.post import Post

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
TASK = WatchedTask(UUID(int=7), "every second", "* * * * * *", NOON)
UNTIL = NOON + timedelta(seconds=2)  # it owes the seconds 0, 1 and 2
CLAIM_S = 30.0
BODY = b'{"content": "hello"}'
RULES = Rules(
    timedelta(seconds=60),
    timedelta(seconds=CLAIM_S),
    {TASK.task_id: Address("1", "hello")},
    {"succeeded", "missed"},
    ANY_REPEAT,
)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def row(second: int, state: str = "succeeded", *, decided_s: float = 0, seq: int = 9, **fields: Any) -> Row:
    instant = after(second)
    key = {"task_id": TASK.task_id, "scheduled_for": instant, "created_at": after(second + decided_s)}
    return {**key, "state": state, "seq": seq, "jitter_ms": 0, **fields}


def missed(first: int, last: int, *, decided_s: float = 60, count: int | None = None) -> Row:
    number = last - first + 1 if count is None else count
    return row(last, "missed", decided_s=decided_s, missed_from=after(first), missed_count=number)


def post(second: int, status: int | None = 200, *, late_s: float = 0.1, execution: UUID | None = None) -> Post:
    number = execution or execution_id(TASK.task_id, after(second))
    return Post("1", number, 1, after(second + late_s), BODY, {}, {}, status)


def log(
    second: int,
    outcome: str = "succeeded",
    *,
    seq: int = 1,
    late_s: float = 0.09,
    took_s: float = 0.1,
    **fields: Any,
) -> Log:
    """Of an attempt that began so late and ended with an answer, unless `fields` say otherwise."""
    statuses = {"succeeded": 200, "retryable": 500, "limited": 429, "permanent": 400}
    begun_s = second + late_s
    return {
        "task_id": TASK.task_id,
        "scheduled_for": after(second),
        "seq": seq,
        "outcome": outcome,
        "http_status": statuses[outcome],
        "ambiguous": False,
        "execution_time": after(begun_s),
        "duration_ms": round(took_s * 1000),
        "created_at": after(begun_s + took_s),
        **fields,
    }


def no_answer(second: int, *, ambiguous: bool = True, **fields: Any) -> Log:
    return log(second, "retryable", **{"http_status": None, "ambiguous": ambiguous, **fields})


def loss(second: int, *, seq: int = 1, claimed_s: float = 0.05, was_recorded: bool = False) -> tuple[Key, Loss]:
    held_until = after(second + claimed_s + CLAIM_S)
    return (TASK.task_id, after(second)), Loss(seq, held_until, was_recorded)


ROWS = [row(0), row(1), row(2)]
POSTS = [post(0), post(1), post(2)]
LOGS = [log(0), log(1), log(2)]


def verdict(
    rows: list[Row] = ROWS,
    posts: list[Post] = POSTS,
    logs: list[Mapping[str, Any]] = LOGS,
    rules: Rules = RULES,
    losses: Sequence[tuple[Key, Loss]] = (),
) -> Verdict:
    account = Account([Ended(TASK, UNTIL + timedelta(microseconds=1))], UNTIL, rows, posts)
    return judge(account, Records(logs, losses), rules)


def invariants(found: Verdict) -> set[str]:
    return {problem.partition(":")[0] for problem in found.problems}


def test_it_is_content_where_all_is_well():
    found = verdict()

    assert found == Verdict(Counts(3, 3, 0, 0, 0, 0, 0, 0), [], {}, {"succeeded": 3}, latest_s=0.1)


@pytest.mark.parametrize(
    ("rows", "posts", "logs"),
    [
        (ROWS[:2], POSTS[:2], LOGS[:2]),  # a lost row
        (ROWS[:2], POSTS, LOGS),  # that was posted nevertheless
        ([*ROWS[:2], row(2, "running")], POSTS, LOGS),
        ([*ROWS[:2], row(2, "expired")], POSTS[:2], LOGS[:2]),  # which this fault should not come to
        (ROWS, [*POSTS[:2], post(2, None)], [*LOGS[:2], no_answer(2)]),  # a success that nobody was told
        (
            ROWS,
            [*POSTS[:2], post(2, 500), post(2, late_s=2)],
            [*LOGS[:2], log(2, "retryable"), no_answer(2, seq=2, late_s=1.9)],
        ),
        ([*ROWS[:2], row(2, seq=0)], POSTS, LOGS),  # an attempt that nobody was granted
        ([*ROWS, row(3)], POSTS, LOGS),  # nobody owes it
        ([missed(0, 1), row(1), row(2)], POSTS[1:], LOGS[1:]),  # counted, and there
        ([missed(0, 0), missed(0, 1), row(2)], POSTS[2:], LOGS[2:]),  # counted twice
        ([missed(0, 1, count=3), row(2)], POSTS[2:], LOGS[2:]),
        ([missed(0, 1), row(2)], POSTS[1:], LOGS[1:]),  # missed, and posted
        ([missed(0, 1, decided_s=59.9), row(2)], POSTS[2:], LOGS[2:]),  # which was within the grace
    ],
)
def test_it_finds_what_is_not_accounted_for_once(rows: list[Row], posts: list[Post], logs: list[Log]):
    found = verdict(rows, posts, logs)

    assert invariants(found) == {"I1"}


@pytest.mark.parametrize(
    "wrong",
    [
        Post("2", POSTS[2].execution_id, 1, POSTS[2].arrived_at, BODY, {}, {}, 200),
        Post("1", POSTS[2].execution_id, 1, POSTS[2].arrived_at, b'{"content": "of another"}', {}, {}, 200),
        Post("1", POSTS[2].execution_id, 1, POSTS[2].arrived_at, b"hello", {}, {}, 200),
    ],
    ids=["to another task's webhook", "with another task's payload", "with what nobody can read"],
)
def test_it_finds_a_post_that_is_not_its_tasks(wrong: Post):
    assert invariants(verdict(posts=[*POSTS[:2], wrong])) == {"I1"}


def test_it_counts_what_is_lost():
    assert verdict(ROWS[:1], POSTS[:1], LOGS[:1]).counts.lost == 2


AGAIN_S = CLAIM_S + 0.1
REFUSED = no_answer(2, ambiguous=False, late_s=0.01, took_s=0.01)


@pytest.mark.parametrize(
    ("posts", "logs", "losses"),
    [
        # The first was recorded as a success, and the claim let run out nevertheless.
        (
            [post(2), post(2, late_s=AGAIN_S)],
            [log(2), log(2, seq=2, late_s=CLAIM_S)],
            [loss(2, was_recorded=True)],
        ),
        ([post(2), post(2, late_s=AGAIN_S)], [log(2), log(2, seq=2, late_s=CLAIM_S)], []),
        # Not recorded by a sender that lives on: its claim did not run out.
        ([post(2), post(2, late_s=AGAIN_S)], [log(2, seq=2, late_s=CLAIM_S)], []),
        ([post(2), post(2, late_s=5)], [log(2, seq=2, late_s=4.9)], []),
        # The second attempt posted twice; the first, which lost its claim, is no excuse.
        (
            [post(2, late_s=AGAIN_S), post(2, late_s=AGAIN_S + 0.01)],
            [log(2, seq=2, late_s=CLAIM_S + 0.05)],
            [loss(2)],
        ),
        # Nor is one that had no answer.
        (
            [post(2, late_s=1.5), post(2, late_s=1.51)],
            [no_answer(2), log(2, seq=2, late_s=1.4, took_s=0.2)],
            [],
        ),
        # Two at a time.
        ([post(2), post(2, late_s=0.11)], [log(2, late_s=0.09, took_s=0.2)], []),
        # The first attempt was refused; the second was answered and not yet recorded when the third came.
        (
            [post(2), post(2, late_s=0.11)],
            [REFUSED, log(2, seq=2), log(2, seq=3, late_s=0.1)],
            [],
        ),
        # What was answered with success was received, and recorded as a failure.
        (
            [post(2), post(2, late_s=1.5)],
            [log(2, "retryable", http_status=200), log(2, seq=2, late_s=1.4)],
            [],
        ),
        # After a failure that asks for no other try.
        ([post(2, 400), post(2, late_s=1.5)], [log(2, "permanent"), log(2, seq=2, late_s=1.4)], []),
        # The second lost its claim, and the third came long after the late record of the first.
        (
            [post(2), post(2, late_s=AGAIN_S), post(2, late_s=2 * AGAIN_S)],
            [log(2, created_at=after(2 + AGAIN_S)), log(2, seq=3, late_s=2 * CLAIM_S)],
            [loss(2), loss(2, seq=2, claimed_s=CLAIM_S + 0.06)],
        ),
    ],
)
def test_it_finds_a_second_post_without_a_reason(
    posts: list[Post], logs: list[Log], losses: list[tuple[Key, Loss]]
):
    found = verdict(posts=[*POSTS[:2], *posts], logs=[*LOGS[:2], *logs], losses=losses)

    assert invariants(found) == {"I2"}


@pytest.mark.parametrize(
    ("posts", "logs"),
    [
        ([post(2)], []),  # nothing tells of it
        ([], [log(2)]),  # recorded, and nobody was asked
        ([post(2)], [REFUSED]),  # it says that nothing was sent
        ([post(2, 500)], [log(2)]),
        ([post(2)], [log(2, late_s=20)]),  # it came long before the attempt
        ([post(2, late_s=20)], [log(2)]),  # and long after
    ],
)
def test_it_finds_attempts_and_posts_that_do_not_fit(posts: list[Post], logs: list[Log]):
    found = verdict(posts=[*POSTS[:2], *posts], logs=[*LOGS[:2], *logs])

    assert "I2" in invariants(found)


def test_it_finds_an_attempt_that_began_when_its_claim_had_run_out():
    logs = [*LOGS[:2], log(2, late_s=AGAIN_S)]

    found = verdict(posts=[*POSTS[:2], post(2, late_s=AGAIN_S + 0.05)], logs=logs, losses=[loss(2)])

    assert invariants(found) == {"I2"}


@pytest.mark.parametrize("execution", [UUID(int=9), execution_id(TASK.task_id, after(3))])
def test_it_finds_a_post_that_nobody_owes(execution: UUID):
    found = verdict(posts=[*POSTS, post(2, execution=execution)])

    assert invariants(found) == {"I2"}


def test_it_finds_an_early_post():
    found = verdict(posts=[*POSTS[:2], post(2, late_s=-0.001)], logs=[*LOGS[:2], log(2, late_s=-0.01)])

    assert invariants(found) == {"I3"}
    assert found.counts.early == 1


def test_it_finds_a_row_that_was_there_before_its_instant():
    found = verdict([*ROWS[:2], row(2, decided_s=-3600)])

    assert invariants(found) == {"I3"}
    assert found.counts.early == 1


@pytest.mark.parametrize(("jitter_ms", "late_s"), [(0, -0.001), (500, 0.4)])
def test_it_finds_an_attempt_that_began_too_early(jitter_ms: int, late_s: float):
    rows = [*ROWS[:2], row(2, jitter_ms=jitter_ms)]

    found = verdict(rows, [*POSTS[:2], post(2, late_s=0.6)], [*LOGS[:2], log(2, late_s=late_s, took_s=0.7)])

    assert invariants(found) == {"I3"}


LOST_AND_DEAD = ([post(2), post(2, late_s=AGAIN_S)], [log(2, seq=2, late_s=CLAIM_S)], [loss(2)])
LOST_AND_LATE = (LOST_AND_DEAD[0], [log(2, created_at=after(99)), *LOST_AND_DEAD[1]], [loss(2)])
NOT_RECEIVED = ([post(2), post(2, late_s=1.5)], [no_answer(2), log(2, seq=2, late_s=1.4)], [])
RETRIED = ([post(2, 500), post(2, late_s=1.5)], [log(2, "retryable"), log(2, seq=2, late_s=1.4)], [])
UNANSWERED = ([post(2, None), post(2, late_s=1.5)], [no_answer(2), log(2, seq=2, late_s=1.4)], [])
LIMITED = ([post(2, 429), post(2, late_s=1.5)], [log(2, "limited"), log(2, seq=2, late_s=1.4)], [])
# A line stood still: the requests of attempts that have ended come when it goes on.
LINE_STOOD_STILL = (
    [post(2, late_s=30), post(2, late_s=30.01), post(2, late_s=30.02)],
    [
        no_answer(2, took_s=10),
        no_answer(2, seq=2, late_s=12, took_s=10),
        log(2, seq=3, late_s=25, took_s=5.05),
    ],
    [],
)
# One that was never there is not in its way.
REFUSED_BETWEEN = (
    [post(2), post(2, late_s=3)],
    [no_answer(2), no_answer(2, seq=2, ambiguous=False, late_s=1.4), log(2, seq=3, late_s=2.9)],
    [],
)
TRUE_HISTORIES = [
    (LOST_AND_DEAD, {"not recorded": 1}),
    (LOST_AND_LATE, {"not recorded": 1}),
    (NOT_RECEIVED, {"not received": 1}),
    (RETRIED, {"retry": 1}),
    (UNANSWERED, {"retry": 1}),
    (LIMITED, {"retry": 1}),
    (REFUSED_BETWEEN, {"not received": 1}),
]


@pytest.mark.parametrize(("history", "again"), TRUE_HISTORIES)
def test_it_knows_what_explains_a_second_post(
    history: tuple[list[Post], list[Log], list[tuple[Key, Loss]]], again: Mapping[str, int]
):
    posts, logs, losses = history

    found = verdict(posts=[*POSTS[:2], *posts], logs=[*LOGS[:2], *logs], losses=losses)

    assert found.problems == []
    assert found.again == again
    assert found.counts.extra_explained == sum(again.values()) - again.get("retry", 0)


@pytest.mark.parametrize(
    ("silences", "may_be_late"),
    [
        ([(5, 29.9)], True),
        ([], False),
        ([(31, 60)], False),  # after they came
        ([(5, 20)], False),  # it went on long before they came
    ],
)
def test_requests_come_late_only_where_the_line_stood_still(
    silences: list[tuple[float, float]], may_be_late: bool
):
    posts, logs, losses = LINE_STOOD_STILL
    spans = [Span(after(2 + since), after(2 + until)) for since, until in silences]

    found = verdict(
        posts=[*POSTS[:2], *posts],
        logs=[*LOGS[:2], *logs],
        rules=RULES._replace(silences=spans),
        losses=losses,
    )

    assert invariants(found) == (set() if may_be_late else {"I2"})
    assert found.again == ({"not received": 2} if may_be_late else {"unexplained": 2})


@pytest.mark.parametrize(("history", "again"), TRUE_HISTORIES)
def test_it_finds_a_reason_that_this_fault_cannot_be(
    history: tuple[list[Post], list[Log], list[tuple[Key, Loss]]], again: Mapping[str, int]
):
    posts, logs, losses = history
    rules = RULES._replace(repeats=ANY_REPEAT - again.keys())

    found = verdict(posts=[*POSTS[:2], *posts], logs=[*LOGS[:2], *logs], rules=rules, losses=losses)

    assert invariants(found) == {"I2"}


@pytest.mark.parametrize(
    ("hit", "is_found"),
    [
        ({17: [Span(after(5), after(6))]}, False),
        ({17: [Span(after(0), after(1)), Span(after(31), after(40))]}, False),
        (
            {17: [Span(after(-9), after(0.9)), Span(after(31.1), after(40))]},
            True,
        ),  # before the claim, and after it
        ({7: [Span(after(5), after(6))]}, True),  # another one
    ],
)
def test_it_finds_senders_that_lost_a_claim_although_nothing_had_hit_them(
    hit: Mapping[int, Sequence[Span]], is_found: bool
):
    sender, lost_at = "tocsin-sender@host:17", after(1 + CLAIM_S)

    found = attempts.bystanders([(sender, lost_at)], hit, timedelta(seconds=CLAIM_S))

    assert found == ({sender} if is_found else set())


def test_it_finds_a_post_that_comes_when_all_was_judged():
    judged = verdict().counts

    assert came_late(POSTS, judged) == []
    assert [text[:2] for text in came_late([*POSTS, post(2, late_s=9)], judged)] == ["I2"]


def test_the_latest_first_post_is_told():
    posts = [POSTS[0], post(1, 500, late_s=7), post(1, late_s=9), POSTS[2]]
    logs = [LOGS[0], log(1, "retryable", late_s=6.9), log(1, seq=2, late_s=8.9), LOGS[2]]

    assert verdict(posts=posts, logs=logs).latest_s == 7


def test_it_takes_what_is_missed_beyond_the_grace():
    found = verdict([missed(0, 1), row(2)], POSTS[2:], LOGS[2:])

    assert found.problems == []
    assert found.states == {"missed": 2, "succeeded": 1}
    assert found.counts.missed == 2
    assert found.counts.lost == 0


FAILURES_S = 0.1, 1.5, 4, 9
FAILED_ROWS = [*ROWS[:2], row(2, "failed")]
FAILED_POSTS = [*POSTS[:2], *(post(2, 500, late_s=each) for each in FAILURES_S)]
FAILED_LOGS = [
    *LOGS[:2],
    *(log(2, "retryable", seq=n, late_s=each - 0.01) for n, each in enumerate(FAILURES_S, 1)),
]
MAY_FAIL = RULES._replace(ends={"succeeded", "failed"})


def test_it_takes_the_ends_that_a_fault_may_come_to():
    found = verdict(FAILED_ROWS, FAILED_POSTS, FAILED_LOGS, MAY_FAIL)

    assert found.problems == []
    assert found.counts.failed == 1


def test_it_finds_a_failure_that_was_recorded_as_a_success_before():
    found = verdict([*ROWS[:2], row(2, "failed")], rules=MAY_FAIL)

    assert invariants(found) == {"I1"}


def test_a_refusal_by_a_limit_is_no_attempt():
    refusal, its_log = post(2, 429, late_s=0.05), log(2, "limited", seq=0, late_s=0.04)

    found = verdict(FAILED_ROWS, [refusal, *FAILED_POSTS], [its_log, *FAILED_LOGS], MAY_FAIL)

    assert found.problems == []


@pytest.mark.parametrize(
    ("state", "failures", "invariant"),
    [
        ("failed", 3, "I1"),  # with one left
        ("failed", 5, "I2"),
        ("succeeded", 4, "I2"),
    ],
)
def test_it_finds_what_failed_too_early_and_what_was_tried_too_often(state: str, failures: int, invariant: str):
    times = range(1, failures + 1)
    posts = [*POSTS[:2], *(post(2, 500, late_s=each) for each in times)]
    logs = [*LOGS[:2], *(log(2, "retryable", seq=each, late_s=each - 0.05) for each in times)]
    if state == "succeeded":
        posts.append(post(2, late_s=9))
        logs.append(log(2, seq=9, late_s=8.9))

    found = verdict([*ROWS[:2], row(2, state)], posts, logs, MAY_FAIL)

    assert invariants(found) == {invariant}


@pytest.mark.parametrize(("hostile", "is_well"), [({TASK.task_id}, True), ({UUID(int=8)}, False)])
def test_what_a_hostile_receiver_was_to_get_may_end_otherwise(hostile: set[UUID], is_well: bool):
    rules = RULES._replace(hostile=hostile, hostile_ends={"succeeded", "failed"})

    found = verdict(FAILED_ROWS, FAILED_POSTS, FAILED_LOGS, rules)

    assert (found.problems == []) == is_well


@pytest.mark.parametrize(
    ("failed_since", "ended_s", "is_well"),
    [
        ({TASK.task_id: after(5)}, 5, True),
        ({TASK.task_id: after(5)}, 4.9, False),  # before its task was stopped
        ({}, 5, False),  # which never was
    ],
)
def test_what_a_hostile_receiver_was_to_get_is_cancelled_with_its_task_alone(
    failed_since: Mapping[UUID, datetime], ended_s: float, is_well: bool
):
    ends = {"succeeded", "cancelled"}
    rules = RULES._replace(hostile={TASK.task_id}, hostile_ends=ends, failed_since=failed_since)
    rows = [*ROWS[:2], row(2, "cancelled", kind="schedule", finished_at=after(ended_s))]

    found = verdict(rows, POSTS[:2], LOGS[:2], rules)

    assert invariants(found) == (set() if is_well else {"I1"})
