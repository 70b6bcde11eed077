"""PURE. Time zones: which there are, and when their clocks are shifted."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from tocsin_common.errors import InvalidTimezoneError, shown

MAX_LENGTH = 64  # twice that of the longest name
FIRST_YEAR, LAST_YEAR = 2, 9998
"""Within these an instant's neighbours are in the calendar too."""
_OF_A_MACHINE = {"localtime", "Factory"}  # each machine may mean another zone
_SECOND = timedelta(seconds=1)
_STEP = timedelta(days=5)  # no zone was shifted twice within it since 1970


class Period(NamedTuple):
    """A time in which a zone's clock runs without a shift. `start` and `end` are in UTC, all without tzinfo."""

    start: datetime
    end: datetime
    """No longer part of it."""
    offset: timedelta
    before: timedelta
    """The offset until `start`."""

    @property
    def is_shift(self) -> bool:
        """Whether the clock is shifted at its start."""
        return self.offset != self.before


def check_timezone(name: str) -> str:
    """`name`, if it is a time zone; raises InvalidTimezoneError, which gives near names."""
    if name in _names().values():
        return name
    wanted = name[:MAX_LENGTH].strip().lower().replace(" ", "_")
    near = [_names()[each] for each in get_close_matches(wanted, _names())]
    hint = f"; near are {', '.join(near)}" if near else ""
    raise InvalidTimezoneError(f"must be an IANA time zone such as Europe/Berlin, got {shown(name)}{hint}")


def period_at(timezone: str, at: datetime) -> Period:
    """The one that holds `at`, in UTC without tzinfo. It may be cut at the ends of the year."""
    return next(period for period in _periods(timezone, at.year) if at < period.end)


def shifts(timezone: str, start: datetime, end: datetime) -> Iterator[Period]:
    """What begins with a shift of the clock after `start`, until `end`, both aware."""
    at, last = (each.astimezone(UTC).replace(tzinfo=None) for each in (start, end))
    while at <= last:
        period = period_at(timezone, at)
        if period.is_shift and at <= period.start <= last and period.start.replace(tzinfo=UTC) > start:
            yield period
        at = period.end


@cache  # it walks through folders
def _names() -> dict[str, str]:
    return {name.lower(): name for name in sorted(available_timezones() - _OF_A_MACHINE)}


@lru_cache(maxsize=4096)
def _periods(timezone: str, year: int) -> tuple[Period, ...]:
    """Those of a year. A shift shortly before it counts too: clocks may still repeat what they showed before."""
    start, end = datetime(year, 1, 1) - _STEP, datetime(year + 1, 1, 1)  # noqa: DTZ001 - in UTC without tzinfo
    zone = ZoneInfo(timezone)
    edges = [start, *_shifts(zone, start, end), end]
    return tuple(
        Period(begin, until, _offset(zone, begin), _offset(zone, begin - _SECOND))
        for begin, until in pairwise(edges)
    )


def _shifts(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    old = _offset(zone, start)
    while start < end:
        until = min(start + _STEP, end)
        new = _offset(zone, until)
        if new != old and (shift := _first_with_another_offset(zone, start, until)) < end:
            yield shift
        start, old = until, new


def _first_with_another_offset(zone: ZoneInfo, start: datetime, end: datetime) -> datetime:
    """The first second whose offset is not that of `start`; `end` is one."""
    old = _offset(zone, start)
    while end - start > _SECOND:
        middle = start + (end - start) // _SECOND // 2 * _SECOND
        start, end = (middle, end) if _offset(zone, middle) == old else (start, middle)
    return end


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return zone.fromutc(at.replace(tzinfo=zone)).replace(tzinfo=None) - at
