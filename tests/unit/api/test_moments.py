"""The days and times that lists are narrowed by."""

from datetime import UTC, datetime

import pytest

from tocsin_api.errors import InvalidInputError, InvalidValueError
from tocsin_api.inputs import read_query
from tocsin_api.moments import PERIOD_CHECKS, PeriodQuery, check_moment, depth_rule, period


def at(day: int, hour: int = 0, microsecond: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, microsecond=microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date_from", "date_to", "expected"),
    [
        (None, None, (None, None)),
        ("2026-01-30", None, (at(30), None)),
        (None, "2026-01-30", (None, at(31))),
        ("2026-01-30", "2026-01-30", (at(30), at(31))),
        ("2026-01-30T12:00:00Z", "2026-01-30T12:00:00Z", (at(30, 12), at(30, 12, 1))),
        ("2026-01-30T13:00:00+01:00", "2026-01-30T14:00:00.000001+01:00", (at(30, 12), at(30, 13, 2))),
    ],
)
def test_period_begins_with_its_first_moment_and_ends_after_its_last(
    date_from: str | None, date_to: str | None, expected: tuple[datetime | None, datetime | None]
) -> None:
    assert period(date_from, date_to) == expected


@pytest.mark.parametrize(
    ("date_from", "date_to"),
    [("2026-01-31", "2026-01-30"), ("2026-01-30T12:00:00.000001Z", "2026-01-30T12:00:00Z")],
)
def test_period_with_nothing_in_it_is_refused(date_from: str, date_to: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^dateTo: must not lie before dateFrom$"):
        period(date_from, date_to)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-02-30", "2026-01-01T00:00:00", "9999-12-31", "0001-01-01T00:00:00+14:00"]
)
def test_moment_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="must be a day"):
        check_moment(text)


@pytest.mark.parametrize("text", ["2026-01-31", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5-08:00"])
def test_moment_stays_as_it_was_spelled(text: str) -> None:
    assert check_moment(text) == text


@pytest.mark.parametrize("query", [b"", b"page=5000", b"page=1000&limit=100", b"page=100000&limit=1"])
def test_list_is_turned_over_for_a_hundred_thousand_rows(query: bytes) -> None:
    read_query(query, PeriodQuery, PERIOD_CHECKS, depth_rule)


@pytest.mark.parametrize("query", [b"page=5001", b"page=1001&limit=100", b"page=100001&limit=1", b"page=1000000"])
def test_page_beyond_that_is_refused_and_the_dates_are_named(query: bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"^page: .* at most 100000: .* by dateFrom and dateTo"):
        read_query(query, PeriodQuery, PERIOD_CHECKS, depth_rule)


def test_page_that_is_no_number_is_refused_as_that_alone() -> None:
    with pytest.raises(InvalidInputError, match=r"^page: must be a whole number from 1 to 1000000, got 'last'$"):
        read_query(b"page=last&limit=100", PeriodQuery, PERIOD_CHECKS, depth_rule)
