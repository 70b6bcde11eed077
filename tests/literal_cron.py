"""What a schedule means, taken literally: each minute is looked at, one after the other.

A second opinion for tests. It shares no code with what it checks, and knows only what has been accepted.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

WEEK, YEAR = "sun mon tue wed thu fri sat", "jan feb mar apr may jun jul aug sep oct nov dec"
NUMBERS = {name: n for first, names in enumerate((WEEK, YEAR)) for n, name in enumerate(names.split(), first)}
MINUTE = timedelta(minutes=1)
LONGEST_SHIFT = timedelta(hours=26)


class Reading(NamedTuple):
    """An expression, read."""

    matches: Callable[[datetime], bool]
    """Whether a clock that shows this minute is at one of its times."""
    seconds: set[int]
    is_fixed: bool


def read(expression: str) -> Reading:
    """Five or six fields that are known to be valid."""
    fields = expression.lower().split()
    second, minute, hour, day, month, week = fields if len(fields) == 6 else ("0", *fields)
    minutes, hours, months = _values(minute, 0, 59), _values(hour, 0, 23), _values(month, 1, 12)
    both = day.startswith("*") or week.startswith("*")

    def matches(shown: datetime) -> bool:
        if shown.minute not in minutes or shown.hour not in hours or shown.month not in months:
            return False
        answers = (_is_day(shown, day), _is_week_day(shown, week))
        return all(answers) if both else any(answers)

    return Reading(matches, _values(second, 0, 59), not (minute.startswith("*") or hour.startswith("*")))


def literal_instants(expression: str, timezone: str, start: datetime, end: datetime) -> list[datetime]:
    """The instants from `start` until before `end`, in UTC, where clocks are shifted at whole minutes.

    A fixed schedule comes when the clock first reaches or passes its time, any other when the clock shows it.
    """
    reading = read(expression)
    zone = ZoneInfo(timezone)
    found = set()
    at = start.astimezone(UTC).replace(second=0, microsecond=0)
    reached = _highest(zone, at - MINUTE)
    while at < end:
        shown = _shown(zone, at)
        skipped = (shown - n * MINUTE for n in range(1, (shown - reached) // MINUTE))
        if reading.is_fixed and any(map(reading.matches, skipped)):
            found.add(at)
        if reading.matches(shown) and (shown > reached or not reading.is_fixed):
            found |= {at + timedelta(seconds=second) for second in reading.seconds}
        reached = max(reached, shown)
        at += MINUTE
    return sorted(instant for instant in found if start <= instant < end)


def _shown(zone: ZoneInfo, at: datetime) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def _highest(zone: ZoneInfo, until: datetime) -> datetime:
    """The latest that the clock has shown up to then."""
    return max(_shown(zone, until - n * MINUTE) for n in range(LONGEST_SHIFT // MINUTE))


@cache
def _values(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        base, _, step = item.partition("/")
        first, _, last = base.partition("-")
        begin = low if base == "*" else _number(first)
        end = _number(last) if last else high if base == "*" or step else begin
        found |= set(range(begin, end + 1, int(step or 1)))
    return found


def _number(text: str) -> int:
    return NUMBERS[text] if text in NUMBERS else int(text)


def _is_day(shown: datetime, field: str) -> bool:
    numbers = ",".join(item for item in field.split(",") if item != "l")
    if numbers and shown.day in _values(numbers, 1, 31):
        return True
    return "l" in field.split(",") and (shown + timedelta(days=1)).day == 1


def _is_week_day(shown: datetime, field: str) -> bool:
    today, nth = shown.isoweekday() % 7, (shown.day + 6) // 7
    if "#" not in field:
        return today in {value % 7 for value in _values(field, 0, 7)}
    items = (item.split("#") for item in field.split(","))
    return any((_number(day) % 7, int(count)) == (today, nth) for day, count in items)
