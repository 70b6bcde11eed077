"""PURE. What a schedule comes to: its next instants, and what shifts of its zone's clock do to them."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from tocsin_api.moments import Aware
from tocsin_api.words import in_words
from tocsin_common import schedule
from tocsin_common.timezones import Period, shifts

YEARS = 30  # that are looked at: a zone's shifts of a year take a millisecond to find
LONGEST_SHIFT = timedelta(days=1)


class NextInstant(msgspec.Struct, frozen=True):
    """One instant of a schedule."""

    utc: Annotated[Aware, Meta(description="in UTC")]
    local: Annotated[Aware, Meta(description="on the zone's clock, with its offset from UTC")]
    remark: Annotated[
        str | None,
        Meta(description="what a shift of the clock does to it, or to what would have come before it"),
    ]


class Preview(msgspec.Struct, frozen=True):
    """What a schedule comes to in a time zone."""

    schedule: Annotated[str, Meta(description="as a task would have it")]
    timezone: Annotated[str, Meta(description="the IANA time zone that the schedule means")]
    words: Annotated[str, Meta(description="the schedule in plain English")]
    remark: Annotated[
        str | None,
        Meta(
            description="why there are fewer instants than were asked for", examples=["none comes within 30 years"]
        ),
    ]
    instants: Annotated[list[NextInstant], Meta(description="the next ones, the earliest first")]


def preview(expression: str, timezone: str, *, now: datetime, count: int) -> Preview:
    """The next `count` instants of a valid schedule from `now` on."""
    end = now + timedelta(days=YEARS * 366)
    coming = schedule.instants(expression, timezone, start=now)
    found = list(islice(takewhile(lambda instant: instant <= end, coming), count))
    return Preview(
        expression,
        timezone,
        in_words(expression),
        None if len(found) == count else _why_so_few(expression, found),
        [
            NextInstant(at, at.astimezone(ZoneInfo(timezone)), _remark(expression, timezone, after, at))
            for after, at in zip([now, *found], found, strict=False)
        ],
    )


def _why_so_few(expression: str, found: list[datetime]) -> str:
    if schedule.is_reboot(expression):
        return "it comes whenever scheduling starts anew, not at instants that are known before"
    return f"no more come within {YEARS} years" if found else f"none comes within {YEARS} years"


def _remark(expression: str, timezone: str, after: datetime, at: datetime) -> str | None:
    """About the instant `at`, which follows `after`."""
    is_fixed = schedule.is_fixed(expression)
    remarks = [
        _about_gap(gap, is_moved=is_fixed and _in_utc(gap.start) == at)
        for gap in _gaps_with_times(expression, shifts(timezone, after, at))
    ]
    if is_fixed and any(_repeats(shift, at) for shift in shifts(timezone, at, at + LONGEST_SHIFT)):
        remarks.append("the clock shows this time twice; it comes the first time only")
    return "; ".join(remarks) or None


def _gaps_with_times(expression: str, shifted: Iterable[Period]) -> Iterator[Period]:
    """The shifts that skip times of the schedule."""
    first: datetime | None = None
    for shift in shifted:
        begin, end = shift.start + shift.before, shift.start + shift.offset
        if first is None or first < begin:
            first = next(schedule.local_times(expression, start=begin), end)
        if first < end:
            yield shift


def _about_gap(shift: Period, *, is_moved: bool) -> str:
    begin, end = shift.start + shift.before, shift.start + shift.offset
    until = f"{end:%H:%M}" if begin.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    gap = f"the clock skips {begin:%Y-%m-%d %H:%M} to {until}"
    return f"{gap}; what is due then comes right after" if is_moved else f"{gap}; what is due then is left out"


def _repeats(shift: Period, at: datetime) -> bool:
    """Whether the clock, put back by the shift, shows once more what it shows at `at`, before."""
    return _in_utc(shift.start) - (shift.before - shift.offset) <= at


def _in_utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
