"""Schedules of the NestJS scheduler, as Tocsin says them."""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_api.old_schedules import EITHER_DAY, FROM_ONE, SECONDS_FIRST, translate
from tocsin_common import schedule
from tocsin_common.errors import InvalidScheduleError

START = date(2027, 1, 1)
DOCUMENT = Path(__file__).parents[3] / "docs" / "migrating.md"
ROW = re.compile(r"\| `(?P<there>[^`]+)` \| (?:`(?P<here>[^`]+)`|the same) \|")


@pytest.mark.parametrize(
    "expression",
    [
        "*/5 * * * *", "0 9 * * MON-FRI", "0 9 * * 7", "0 9 * * 0", "0 0 1 JAN *", "*/60 * * * *",
        "15,45 8-18/2 * * *",
        "0 0 */2 * *", "0 0 1-31 * *", "0 0 L * *", "0 9 1 */3 *", "@daily", "@hourly",
    ],
)  # fmt: skip
def test_what_means_the_same_here_stays_as_it_is(expression: str) -> None:
    assert translate(expression) == (expression, ())


@pytest.mark.parametrize(
    ("expression", "here"),
    [
        ("*/90 * * * *", "0 * * * *"),
        ("5/90 * * * *", "5 * * * *"),
        ("0 9-9 * * *", "0 9 * * *"),
        ("0 0 * * 1/2", "0 0 * * 0,1,3,5"),
        ("0 0 ? * MON", "0 0 * * MON"),
        ("@minutely", "* * * * *"),
        ("@secondly", "* * * * * *"),
        ("@WEEKDAYS", "0 0 * * 1-5"),
        ("@weekends", "0 0 * * 0,6"),
        # All days are none that is given, however they are spelled.
        ("0 0 1-31 * 1", "0 0 * * 1"),
        ("0 0 1 * 0-6", "0 0 1 * *"),
        ("0 0 1 * 1-7", "0 0 1 * *"),
        ("0 0 * * 1,*/3", "0 0 * * 0,1,3,6"),
    ],
)
def test_what_means_something_else_here_is_said_in_other_words(expression: str, here: str) -> None:
    translated = translate(expression)

    assert translated.schedule == here
    assert f"'{expression}' becomes '{here}'" in translated.remarks


def test_the_document_shows_what_schedules_become() -> None:
    shown = [
        match.groups() for match in ROW.finditer(DOCUMENT.read_text(encoding="utf-8").split("### Schedules")[1])
    ]

    assert len(shown) >= 5
    assert [(there, translate(there).schedule) for there, _ in shown] == [
        (there, here or there) for there, here in shown
    ]


def test_a_star_with_a_step_joins_the_days_by_or() -> None:
    translated = translate("0 0 */15 * 1")

    assert translated.schedule == "0 0 1,16,31 * 1"
    assert EITHER_DAY in translated.remarks


@pytest.mark.parametrize("expression", ["0 0 9 * * 1-5", "*/10 * * * * *", "30 0 0 1 * *"])
def test_six_fields_have_seconds_first_as_here(expression: str) -> None:
    assert translate(expression) == (expression, (SECONDS_FIRST,))


@pytest.mark.parametrize(
    ("expression", "here"),
    [
        ("0 0 1 0 *", "0 0 1 1 *"),
        ("0 0 1 3 *", "0 0 1 4 *"),
        ("0 0 1 0-5 *", "0 0 1 1,2,3,4,5,6 *"),
        ("0 0 1 11 *", "0 0 1 12 *"),
        ("0 0 1 mar *", "0 0 1 mar *"),
        ("0 0 1 */3 *", "0 0 1 */3 *"),
        ("0 0 * * 1/2", "0 0 * * 1-5/2"),
    ],
)
def test_months_that_count_from_zero_are_counted_from_one_here(expression: str, here: str) -> None:
    translated = translate(expression, months_from_zero=True)

    assert list(islice(schedule.instants(translated.schedule, "UTC", start=midnight(START)), 20)) == list(
        islice(schedule.instants(here, "UTC", start=midnight(START)), 20)
    )
    assert FROM_ONE not in translated.remarks


def test_a_month_that_was_none_is_not_made_another_one() -> None:
    with pytest.raises(InvalidScheduleError, match="'12': with --months-from-zero allowed are 0 to 11"):
        translate("0 0 1 12 *", months_from_zero=True)


@pytest.mark.parametrize(
    ("expression", "is_told"), [("0 0 1 3 *", True), ("0 0 1 mar *", False), ("0 0 * * 1", False)]
)
def test_numbers_of_months_are_told_of(expression: str, is_told: bool) -> None:
    assert (FROM_ONE in translate(expression).remarks) == is_told


@pytest.mark.parametrize(
    "expression", ["", "* * *", "* * * * * * *", "60 * * * *", "0 9 * * fri-sun", "0 0 1 13 *", "x"]
)
def test_what_cannot_be_read_is_left_for_others_to_refuse(expression: str) -> None:
    assert translate(expression).schedule.split() == expression.split()
    with pytest.raises(InvalidScheduleError):
        schedule.validate(translate(expression).schedule)


def items(low: int, high: int) -> st.SearchStrategy[str]:
    """Numbers, ranges and steps of a field."""
    number = st.integers(low, high)
    ranges = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    base = st.one_of(st.just("*"), ranges, number.map(str))
    step = st.integers(1, 40).map(lambda step: f"/{step}")
    return st.tuples(base, st.just("") | step).map("".join)


def days(low: int, high: int) -> st.SearchStrategy[str]:
    return st.lists(items(low, high), min_size=1, max_size=3).map(",".join)


@given(of_month=days(1, 31), of_week=days(0, 7))
def test_it_comes_on_the_days_on_which_that_scheduler_comes(of_month: str, of_week: str) -> None:
    here = translate(f"0 0 {of_month} * {of_week}").schedule

    found = [instant.date() for instant in islice(schedule.instants(here, "UTC", start=midnight(START)), 12)]

    month_days, week_days = literal(of_month, 1, 31), {day % 7 for day in literal(of_week, 0, 7)}
    every = (START + timedelta(days=n) for n in range(3000))
    assert found == list(islice((day for day in every if comes(day, month_days, week_days)), 12))


def comes(day: date, month_days: set[int], week_days: set[int]) -> bool:
    """As the package `cron` decides it, said in another way than translate does."""
    month, week = day.day in month_days, day.isoweekday() % 7 in week_days
    if len(month_days) == 31:
        return week
    return month if len(week_days) == 7 else month or week


def literal(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        base, _, step = item.partition("/")
        first, _, last = base.replace("*", f"{low}-{high}").partition("-")
        end = int(last) if last else high if step else int(first)
        found.update(range(int(first), end + 1, int(step or 1)))
    return found


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
