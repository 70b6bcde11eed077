from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tocsin_common.messages import execution_id
from tocsin_local.oracle import Ledger, Owed, WatchedTask, fates, lateness_ms, owed
from tocsin_local.post import Post

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
TASK = WatchedTask(UUID(int=7), "every-5s", "*/5 * * * * *", NOON)
FIRST = execution_id(TASK.task_id, NOON)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def post(
    arrived_s: float,
    status: int | None = 200,
    *,
    execution: UUID | None = FIRST,
    remaining: int | None = None,
    resets_s: float = 0,
    webhook_id: str = "1",
) -> Post:
    return Post(
        webhook_id=webhook_id,
        execution_id=execution,
        attempt=1,
        arrived_at=after(arrived_s),
        body=b"",
        query={},
        headers={},
        status=status,
        remaining=remaining,
        limit_resets_at=None if remaining is None else after(resets_s),
    )


def test_owed_are_the_instants_from_effective_from_to_the_end_both_included() -> None:
    found = owed([TASK], until=after(10))

    assert [item.scheduled_for for item in found.values()] == [NOON, after(5), after(10)]
    assert list(found) == [execution_id(TASK.task_id, item.scheduled_for) for item in found.values()]


def test_owed_leaves_out_what_lies_before_effective_from() -> None:
    task = TASK._replace(effective_from=NOON + timedelta(microseconds=1))

    assert [item.scheduled_for for item in owed([task], until=after(9)).values()] == [after(5)]


@pytest.mark.parametrize(
    ("statuses", "successes", "retried", "limited"),
    [
        ((), 0, False, False),
        ((200,), 1, False, False),
        ((204,), 1, False, False),
        ((500,), 0, False, False),
        ((500, 200), 1, True, False),
        ((None, 200), 1, True, False),
        ((429, 200), 1, False, True),
        ((429, 500, 200), 1, True, True),
        ((200, 200), 2, False, False),
    ],
)
def test_fate_is_judged_by_the_answers(
    statuses: tuple[int | None, ...], successes: int, retried: bool, limited: bool
) -> None:
    posts = [post(n, status) for n, status in enumerate(statuses)]

    [fate] = fates(owed([TASK], until=NOON), posts)

    assert (fate.successes, fate.retried, fate.limited) == (successes, retried, limited)


@pytest.mark.parametrize(("arrived_s", "early"), [(-0.001, True), (0, False), (0.001, False)])
def test_fate_is_early_before_its_instant(arrived_s: float, early: bool) -> None:
    [fate] = fates(owed([TASK], until=NOON), [post(arrived_s)])

    assert fate.early is early


@pytest.mark.parametrize(
    ("used_up_s", "resets_s", "webhook_id", "held_back"),
    [
        (0.1, 2.0, "1", True),  # used up after the instant, before the POST
        (-1.0, 1.0, "1", True),  # used up already when the instant came
        (-3.0, -1.0, "1", False),  # free again before the instant
        (2.5, 4.5, "1", False),  # used up after the POST
        (0.1, 2.0, "2", False),  # another webhook's limit
    ],
)
def test_an_execution_is_held_back_where_the_limit_was_used_up_before_its_first_post(
    used_up_s: float, resets_s: float, webhook_id: str, held_back: bool
) -> None:
    last_one = post(used_up_s, execution=UUID(int=9), remaining=0, resets_s=resets_s, webhook_id=webhook_id)

    [fate] = fates(owed([TASK], until=NOON), [last_one, post(2.1, remaining=4, resets_s=4.1)])

    assert fate.held_back is held_back
    assert fate.limited is held_back


def test_the_post_that_uses_the_limit_up_was_not_held_back() -> None:
    [fate] = fates(owed([TASK], until=NOON), [post(0.1, remaining=0, resets_s=2.0)])

    assert not fate.limited


def test_owed_continues_after_an_instant_without_repeating_it() -> None:
    found = owed([TASK], until=after(10), after=after(5))

    assert [item.scheduled_for for item in found.values()] == [after(10)]


def test_the_ledger_knows_what_a_post_is_for_at_any_time() -> None:
    ledger = Ledger([TASK])
    instants = [0, 5, 3600, 3605]

    found = [
        ledger.find(post(seconds, execution=execution_id(TASK.task_id, after(seconds)))) for seconds in instants
    ]

    assert [item and item.scheduled_for for item in found] == [after(seconds) for seconds in instants]


def test_the_ledger_knows_an_early_post() -> None:
    early = post(0, execution=execution_id(TASK.task_id, after(30)))

    assert Ledger([TASK]).find(early) == Owed(TASK, after(30))


@pytest.mark.parametrize("execution", [UUID(int=9), None])
def test_the_ledger_knows_what_nobody_owes(execution: UUID | None) -> None:
    assert Ledger([TASK]).find(post(0, execution=execution)) is None


def test_lateness_is_in_milliseconds() -> None:
    assert lateness_ms(Owed(TASK, NOON), post(0.0125)) == 12.5
