"""PURE. When a schedule comes: the only module that knows croniter.

A schedule is five cron fields, or six with seconds first, or an alias such as `@daily`, in a time zone. croniter
says on which days it comes. The times of a day, and what becomes of them when clocks are shifted, are said here:
croniter's own answers are not what cron does then, and take twenty times as long.
"""

from collections.abc import Iterator
from copy import copy
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from croniter import CroniterError, croniter  # noqa: TID251 - this is the module that may

from tocsin_common.errors import InvalidScheduleError, shown
from tocsin_common.schedule_fields import (
    ALIASES,
    EVERY_DAY,
    MAX_LENGTH,
    REBOOT,
    Fields,
    is_reboot,
    meaning,
    normal,
    parse,
)
from tocsin_common.schedule_times import Time, first_time, last_time, time_from, time_until
from tocsin_common.timezones import FIRST_YEAR, LAST_YEAR, period_at

__all__ = [
    "ALIASES",
    "MAX_LENGTH",
    "REBOOT",
    "instants",
    "instants_before",
    "is_fixed",
    "is_reboot",
    "local_times",
    "meaning",
    "normal",
    "validate",
]

YEARS = 50  # what does not come within them never comes; a 29 February that is a Monday may take 40
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
_LEAP_YEAR = date(2024, 1, 1)


def validate(expression: str) -> None:
    """Raise InvalidScheduleError unless `expression` is a schedule that comes again, or REBOOT."""
    if is_reboot(expression):
        return
    days = parse(expression).days
    if _day_from(days, _LEAP_YEAR) is None:
        raise _never_comes(*days.split())


def _never_comes(of_month: str, month: str, of_week: str) -> InvalidScheduleError:
    named = f"day of month {shown(of_month)} with month {shown(month)}"
    if of_week != "*":
        named += f" and day of week {shown(of_week)}"
    allowed = "allowed are days that a month has: February up to 29; April, June, September and November up to 30"
    return InvalidScheduleError(f"{named} never comes; {allowed}")


def is_fixed(expression: str) -> bool:
    """Whether it means times of day. Else, with a star first in its minute or hour, it means a rhythm."""
    return parse(expression).is_fixed


def instants(expression: str, timezone: str, *, start: datetime) -> Iterator[datetime]:
    """The schedule's instants at or after `start`, in order, aware and in UTC.

    They end where none comes for YEARS. REBOOT has none.

    A fixed schedule comes when the zone's clock first reaches its time: right after a gap that skips the time, and
    only the first time where a time is repeated. One with a rhythm comes whenever the clock shows such a time:
    never in a gap, and again where it is repeated.
    """
    if is_reboot(expression):
        return
    fields = parse(expression)
    after = (_in_utc(start) - timedelta(microseconds=1)).replace(microsecond=0)
    while (found := _from(fields, timezone, after + _SECOND)) is not None:
        yield found.replace(tzinfo=UTC)
        after = found


def instants_before(expression: str, timezone: str, *, end: datetime) -> Iterator[datetime]:
    """The schedule's instants at or before `end`, latest first, aware and in UTC: `instants` backwards."""
    if is_reboot(expression):
        return
    fields = parse(expression)
    at = _in_utc(end).replace(microsecond=0)
    while (found := _until(fields, timezone, at)) is not None:
        yield found.replace(tzinfo=UTC)
        at = found - _SECOND


def local_times(expression: str, *, start: datetime) -> Iterator[datetime]:
    """The times at or after `start` that a clock shows which is never shifted; all without tzinfo."""
    fields = parse(expression)
    while (found := _wall_from(fields, start)) is not None:
        yield found
        start = found + _SECOND


def _from(fields: Fields, timezone: str, at: datetime) -> datetime | None:
    """The first instant at or after `at`, both in UTC without tzinfo."""
    last_year = min(at.year + YEARS, LAST_YEAR)
    asked = found = datetime.max  # noqa: DTZ901 - what a clock shows
    while FIRST_YEAR <= at.year <= last_year:
        period = period_at(timezone, at)
        wall = at + period.offset
        if fields.is_fixed:  # what lies before `reached` has been shown; a clock put forward skips from there on
            reached = period.start + period.before
            wall = reached if at == period.start else max(wall, reached)
        if not asked <= wall <= found:  # else the answer is the same, and a rare day takes long to find
            asked, found = wall, _wall_from(fields, wall) or datetime.max  # noqa: DTZ901 - as above
        if found < period.end + period.offset:
            return max(found - period.offset, period.start)
        at = period.end
    return None


def _until(fields: Fields, timezone: str, at: datetime) -> datetime | None:
    """The last instant at or before `at`, both in UTC without tzinfo."""
    first_year = max(at.year - YEARS, FIRST_YEAR)
    asked = found = datetime.min  # noqa: DTZ901 - what a clock shows
    while first_year <= at.year <= LAST_YEAR:
        period = period_at(timezone, at)
        wall = at + period.offset
        if not found <= wall <= asked:
            asked, found = wall, _wall_until(fields, wall) or datetime.min  # noqa: DTZ901 - as above
        if found >= period.start + (period.before if fields.is_fixed else period.offset):
            return max(found - period.offset, period.start)
        at = period.start - _SECOND
    return None


def _wall_from(fields: Fields, at: datetime) -> datetime | None:
    day, time = _day_from(fields.days, at.date()), None
    if day == at.date():
        time = time_from(fields, at)
        if time is None:
            day = _day_from(fields.days, day + _DAY)
    return None if day is None else _at(day, time or first_time(fields))


def _wall_until(fields: Fields, at: datetime) -> datetime | None:
    day, time = _day_until(fields.days, at.date()), None
    if day == at.date():
        time = time_until(fields, at)
        if time is None:
            day = _day_until(fields.days, day - _DAY)
    return None if day is None else _at(day, time or last_time(fields))


def _at(day: date, time: Time) -> datetime:
    return datetime(day.year, day.month, day.day, *time)  # noqa: DTZ001 - what a clock shows


def _day_from(days: str, day: date) -> date | None:
    """The first day at or after `day` that `days` allows."""
    return day if days == EVERY_DAY else _found_day(days, day, back=False)


def _day_until(days: str, day: date) -> date | None:
    return day if days == EVERY_DAY else _found_day(days, day, back=True)


@lru_cache(maxsize=16384)  # many schedules ask for the same day
def _found_day(days: str, day: date, *, back: bool) -> date | None:
    source = copy(_calendar(days))  # it remembers where it is
    midnight = _at(day, (0, 0, 0))
    try:
        if back:
            found = source.get_prev(datetime, start_time=midnight + _SECOND)
        else:
            found = source.get_next(datetime, start_time=midnight - _SECOND)
    except (CroniterError, OverflowError):
        return None
    return found.date()


@lru_cache(maxsize=1024)
def _calendar(days: str) -> croniter:
    # The cron "bug" is Vixie's rule where a day field begins with a star.
    return croniter(f"0 0 {days}", _at(_LEAP_YEAR, (0, 0, 0)), implement_cron_bug=True)


def _in_utc(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)
