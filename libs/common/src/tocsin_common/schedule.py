"""PURE. What a schedule means: the only module that knows croniter.

A schedule is five cron fields, or six with seconds first, or an alias such as `@daily`. What croniter accepts
but cron does not mean is refused with the field, the value and what is allowed.
"""

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter  # noqa: TID251 - this is the module that may

from tocsin_common.errors import MAX_ECHO, InvalidScheduleError

MAX_LENGTH = 128  # a longer list costs seconds only to be read
ALIASES = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: dict[str, int]


_MONTHS = {name.lower(): n for n, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: n for n, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_FIELDS = (
    _Field("second", 0, 59, {}),
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of month", 1, 31, {}),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _DAYS),
)
_DAY_OF_MONTH, _DAY_OF_WEEK = _FIELDS[3], _FIELDS[5]
_ITEM = re.compile(r"(?P<base>\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d{1,4}))?", re.ASCII)
_NTH_DAY = re.compile(r"(?P<day>\w+)#[1-5]", re.ASCII)


def validate(expression: str) -> None:
    """Raise InvalidScheduleError unless `expression` is a schedule that comes again."""
    if len(expression) > MAX_LENGTH:
        raise InvalidScheduleError(f"has {len(expression)} characters, at most {MAX_LENGTH} are allowed")
    if not expression.isascii():
        raise InvalidScheduleError("must be ASCII")
    if expression.startswith("@"):
        if expression.lower() not in ALIASES:
            raise InvalidScheduleError(f"{_shown(expression)} is no known alias; allowed are {', '.join(ALIASES)}")
        return
    values = expression.split()
    if len(values) not in (5, 6):
        raise InvalidScheduleError(f"has {len(values)} fields; allowed are 5, or 6 with seconds first")
    for field, value in zip(_FIELDS[-len(values) :], values, strict=True):
        _check_field(field, value)
    _check_days(values[-3].lower(), values[-1].lower())
    _check_that_it_comes(expression)


def instants(expression: str, timezone: str, *, start: datetime) -> Iterator[datetime]:
    """The schedule's instants at or after `start`, in order, aware and in UTC."""
    # croniter answers what lies strictly after its start, in whole seconds: begin just before.
    before = (start - timedelta(microseconds=1)).astimezone(ZoneInfo(timezone))
    source = _croniter(expression, before)
    while True:
        yield source.get_next(datetime).astimezone(UTC)


def instants_before(expression: str, timezone: str, *, end: datetime) -> Iterator[datetime]:
    """The schedule's instants at or before `end`, latest first, aware and in UTC."""
    after = (end + timedelta(microseconds=1)).astimezone(ZoneInfo(timezone))
    source = _croniter(expression, after)
    while True:
        yield source.get_prev(datetime).astimezone(UTC)


def _croniter(expression: str, start: datetime) -> croniter:
    return croniter(
        expression.lower(),
        start,
        second_at_beginning=True,
        implement_cron_bug=True,  # Vixie's rule where a day field begins with a star
    )


@lru_cache(maxsize=1024)
def _check_that_it_comes(expression: str) -> None:
    try:
        _croniter(expression, datetime(2024, 1, 1, tzinfo=UTC)).get_next(datetime)
    except (CroniterError, ValueError) as error:
        raise InvalidScheduleError(f"{expression!r} names a date that never comes") from error


def _check_field(field: _Field, value: str) -> None:
    for item in value.lower().split(","):
        if len(item) > MAX_ECHO:
            raise _refusal(field, item)
        if field.name == "day of month" and item == "l":
            continue
        nth = _NTH_DAY.fullmatch(item)
        if field.name == "day of week" and nth is not None:
            _number(field, nth["day"])
            continue
        match = _ITEM.fullmatch(item)
        if match is None:
            raise _refusal(field, item)
        _check_range(field, item, match)


def _check_days(of_month: str, of_week: str) -> None:
    """Refuse what croniter joins in another way than cron does: days of the month *or* of the week."""
    for field, value in ((_DAY_OF_MONTH, of_month), (_DAY_OF_WEEK, of_week)):
        if ",*" in value and not value.startswith("*"):
            raise _refusal(field, value, "in a list * comes first")
    nth = ["#" in day for day in of_week.split(",")]
    if any(nth) and not all(nth):
        raise _refusal(_DAY_OF_WEEK, of_week, "days with # do not mix with others")
    if any(nth) and not of_month.startswith("*"):
        raise _refusal(_DAY_OF_WEEK, of_week, "a day with # needs a day of month that begins with *")


def _check_range(field: _Field, item: str, match: re.Match[str]) -> None:
    low, high = field.low, field.high
    if match["first"] is not None:
        low = _number(field, match["first"])
        if match["last"] is not None:
            high = _number(field, match["last"])
            if low >= high:
                raise _refusal(field, item, "a range must rise")
        elif match["step"] is None:
            return
        elif field is _DAY_OF_WEEK:  # up to Saturday or to Sunday? croniter and cron differ
            raise _refusal(field, item, "a step needs a range, such as 1-5/2")
    if match["step"] is not None and not 1 <= int(match["step"]) <= high - low + 1:
        raise _refusal(field, item, f"a step here is 1 to {high - low + 1}")


def _number(field: _Field, text: str) -> int:
    if text in field.names:
        return field.names[text]
    if not text.isdigit() or len(text) > 2 or not field.low <= int(text) <= field.high:
        raise _refusal(field, text)
    return int(text)


def _refusal(field: _Field, value: str, why: str = "") -> InvalidScheduleError:
    allowed = f"allowed are {field.low} to {field.high}"
    if field.names:
        allowed += f" or {'/'.join(field.names)}"
    allowed += ", *, lists, ranges a-b and steps */n"
    reason = f": {why}" if why else ""
    return InvalidScheduleError(f"the {field.name} field does not allow {_shown(value)}{reason}; {allowed}")


def _shown(text: str) -> str:
    """Somebody may put a secret here by mistake, and none is as short as what is shown."""
    return repr(text) if len(text) <= MAX_ECHO else "a longer text"
