from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from bench import schedules
from bench.schedules import When
from tocsin_common.schedule import instants, validate

NOW = datetime(2026, 11, 25, 13, 7, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def next_of(when: When, start: datetime, count: int = 1) -> list[datetime]:
    return list(islice(instants(when.schedule or "", when.timezone, start=start), count))


@pytest.mark.parametrize(
    ("whens", "count"),
    [
        (schedules.seconds_of_a_minute(), 60),
        (schedules.far_off(5000, NOW), 5000),
        (schedules.hourly(100_000), 100_000),
        (schedules.one_offs(NOW, timedelta(milliseconds=10), 6000), 6000),
    ],
)
def test_there_are_as_many_different_ones_as_asked_for(whens: Sequence[When], count: int) -> None:
    assert len(set(whens)) == len(whens) == count


def test_one_instant_is_met_and_then_a_year_passes() -> None:
    instant = NOW + timedelta(seconds=20)

    (when,) = schedules.at(instant)

    assert next_of(when, NOW, 2) == [instant, instant.replace(year=2027)]


def test_each_second_of_a_minute_has_its_schedule() -> None:
    first = [next_of(when, NOW)[0] for when in schedules.seconds_of_a_minute()]

    assert sorted(first) == [NOW + timedelta(seconds=n) for n in range(60)]


@pytest.mark.parametrize("now", [NOW, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 8, 31, 23, 59, tzinfo=UTC)])
def test_what_is_far_off_is_not_due_for_months(now: datetime) -> None:
    whens = schedules.far_off(5000, now)

    first = min(next_of(when, now)[0] for when in islice(whens, 0, None, 100))

    assert first > now + timedelta(days=120)


def test_hourly_ones_fire_once_an_hour_each_and_are_spread_over_it() -> None:
    whens = islice(schedules.hourly(100_000), 0, None, 997)

    found = [next_of(when, NOW, 2) for when in whens]

    assert {later - earlier for earlier, later in found} == {HOUR}
    assert max(Counter(earlier for earlier, _ in found).values()) <= 2


def test_one_offs_follow_each_other_at_the_interval() -> None:
    first, second, third = schedules.one_offs(NOW, timedelta(milliseconds=10), 3)

    assert (first.run_at, second.run_at, third.run_at) == tuple(
        NOW + timedelta(milliseconds=10 * n) for n in range(3)
    )


@pytest.mark.parametrize("when", [*schedules.far_off(60, NOW), *schedules.hourly(60), *schedules.at(NOW)])
def test_the_api_would_take_them(when: When) -> None:
    validate(when.schedule or "")


@pytest.mark.parametrize(
    ("after", "instant"),
    [
        (NOW, NOW.replace(second=40)),
        (NOW.replace(second=40), NOW.replace(second=40)),
        (NOW.replace(second=40, microsecond=1), NOW.replace(minute=8, second=0)),
        (NOW.replace(hour=23, minute=59, second=59), NOW.replace(hour=0, minute=0, second=0) + timedelta(days=1)),
    ],
)
def test_the_next_multiple_is_counted_from_midnight(after: datetime, instant: datetime) -> None:
    assert schedules.next_multiple(after, timedelta(seconds=20)) == instant


def test_the_seconds_between_two_instants_are_whole_ones() -> None:
    begin, end = NOW.replace(microsecond=1), NOW + timedelta(seconds=3)

    assert schedules.seconds_between(begin, end) == [NOW + timedelta(seconds=n) for n in (1, 2, 3)]
    assert schedules.seconds_between(NOW, NOW) == [NOW]
    assert schedules.seconds_between(begin, begin) == []
