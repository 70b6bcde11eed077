"""PURE. The days and times that lists are narrowed by, and the query that has them."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from tocsin_api.errors import InvalidInputError, InvalidValueError, Violation
from tocsin_api.inputs import REFUSED, Checks
from tocsin_api.pages import Limit, PageNumber

Moment = Annotated[
    str,
    Meta(
        description="a day (2026-01-31, in UTC) or an RFC 3339 time (2026-01-31T12:00:00Z)",
        examples=["2026-01-31", "2026-01-31T12:00:00Z"],
        extra_json_schema={
            "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]
        },
    ),
]
Aware = Annotated[datetime, Meta(tz=True)]
"""A time with its offset, as answers show it."""
DAY_LENGTH = len("2026-01-31")
MAX_DEPTH = 100_000
"""So many rows a list is turned over: each page has to pass all that come before it."""


class PeriodQuery(msgspec.Struct, frozen=True, rename="camel"):
    """A page of what lies between two moments. `dateTo` is inclusive."""

    page: PageNumber = 1
    limit: Limit = 20
    date_from: Moment | None = None
    date_to: Moment | None = None


DEFAULTS = PeriodQuery()


class Period(NamedTuple):
    """What lies between two moments; None is no bound."""

    since: datetime | None
    until: datetime | None
    """Exclusive."""


def check_moment(text: str) -> str:
    """The text itself; raises InvalidValueError."""
    try:
        _moment_after(text)
    except (msgspec.ValidationError, OverflowError) as error:
        raise InvalidValueError(
            "must be a day (2026-01-31) or a time with its offset (2026-01-31T12:00:00Z)"
        ) from error
    return text


PERIOD_CHECKS: Checks = {"date_from": check_moment, "date_to": check_moment}
"""Of PeriodQuery, and of whatever else names two moments so."""


def depth_rule(given: Mapping[str, Any]) -> Iterator[Violation]:
    """What must hold between the fields of a PeriodQuery."""
    page, limit = (given.get(name, getattr(DEFAULTS, name)) for name in ("page", "limit"))
    if REFUSED not in (page, limit) and page * limit > MAX_DEPTH:
        message = f"times limit must be at most {MAX_DEPTH}: narrow the list by dateFrom and dateTo instead"
        yield Violation("page", message)


def period(date_from: str | None, date_to: str | None) -> Period:
    """From one moment to the other, which is inclusive; raises InvalidInputError where nothing lies there."""
    since = None if date_from is None else _first_moment(date_from)
    until = None if date_to is None else _moment_after(date_to)
    if since is not None and until is not None and since >= until:
        raise InvalidInputError([Violation("dateTo", "must not lie before dateFrom")])
    return Period(since, until)


def _first_moment(text: str) -> datetime:
    """A day means its start in UTC."""
    if len(text) == DAY_LENGTH:
        day = msgspec.convert(text, date)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    moment: datetime = msgspec.convert(text, Aware)
    return moment.astimezone(UTC)


def _moment_after(text: str) -> datetime:
    """The end of a day, or the first instant after a time."""
    width = timedelta(days=1) if len(text) == DAY_LENGTH else timedelta(microseconds=1)
    return _first_moment(text) + width
