"""The days and times that lists are narrowed by."""

from datetime import UTC, datetime

import pytest

from tocsin_api.errors import InvalidInputError, InvalidValueError
from tocsin_api.moments import check_moment, period


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
