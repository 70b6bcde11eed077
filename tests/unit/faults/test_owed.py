"""What the load owes by plain arithmetic is what its schedules say."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e.oracle import Ended
from faults.matrix import owed
from tocsin_local import oracle
from tocsin_local.oracle import WatchedTask

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def task(schedule: str, start: datetime = NOON) -> WatchedTask:
    return WatchedTask(UUID(int=7), "a task", schedule, start)


@pytest.mark.parametrize(
    ("schedule", "start_s", "end_s", "seconds"),
    [
        ("* * * * * *", 0, 3, [0, 1, 2]),
        ("* * * * * *", 0.5, 3.5, [1, 2, 3]),
        ("*/20 * * * * *", 0, 60, [0, 20, 40]),
        ("*/20 * * * * *", 0.001, 61, [20, 40, 60]),
        ("*/5 * * * * *", 57, 62, [60]),
        ("*/60 * * * * *", 1, 60, []),
    ],
)
def test_an_instant_is_owed_from_its_start_until_before_its_end(
    schedule: str, start_s: float, end_s: float, seconds: list[int]
):
    ended = Ended(task(schedule, NOON + timedelta(seconds=start_s)), NOON + timedelta(seconds=end_s))

    found = owed.until_ended([ended])

    assert [each.scheduled_for - NOON for each in found.values()] == [timedelta(seconds=n) for n in seconds]


def test_between_two_instants_the_first_is_left_out_and_the_last_is_not():
    found = owed.between([task("*/10 * * * * *")], since=NOON, until=NOON + timedelta(seconds=20))

    assert [each.scheduled_for.second for each in found.values()] == [10, 20]


@pytest.mark.parametrize("schedule", ["*/7 * * * * *", "0 * * * * *", "* * * * *", "*/5 9 * * * *", "@reboot"])
def test_a_schedule_that_no_load_has_is_refused(schedule: str):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        owed.period_s(schedule)


@given(st.sampled_from([1, 2, 5, 20, 30, 60]), st.integers(0, 10**9), st.integers(0, 200_000_000))
def test_it_agrees_with_the_products_own_reading_of_the_schedule(period: int, start_us: int, length_us: int):
    start = NOON + timedelta(microseconds=start_us)
    until = start + timedelta(microseconds=length_us)
    schedule = "* * * * * *" if period == 1 else f"*/{period} * * * * *"
    by_the_product = oracle.owed([task(schedule, start)], until=until)

    assert owed.until_ended([Ended(task(schedule, start), until + timedelta(microseconds=1))]) == by_the_product
