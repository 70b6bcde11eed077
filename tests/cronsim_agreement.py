"""Compares our instants with cronsim's, and explains where cronsim answers otherwise.

They part near shifts of a zone's clock only, in these ways. What the schedule literally means (`literal_cron`) is
asked in each such case, and must be what we answer.

- *six fields*: cronsim has its rules for shifts for five fields alone; for us `0 30 2 * * *` is `30 2 * * *`.
- *midnight*: it begins each day at 00:00, also where the clock skips or repeats midnight (Havana, Cairo,
  Santiago). Then it names a time that the clock does not show, or passes by some that it does.
- *odd shift*: it goes from hour to hour. Where a clock is shifted by half an hour, or not at a full hour of its
  zone or of UTC (Lord Howe, Chatham), it passes by what lies between.
- *no answer*: where midnight is repeated it may go round for ever.
- *before the start*: it takes a start that is the second of two equal times for the first, or comes back to the
  first after a midnight that is repeated, and answers with what is before.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice, zip_longest
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim

from literal_cron import literal_instants, read
from random_schedules import (
    days_of_shifts,
    nightly_expression,
    random_expression,
    random_start,
    seeded,
    zones_with_shifts,
)
from tocsin_common.errors import InvalidScheduleError
from tocsin_common.schedule import instants, validate

INSTANTS = 6  # that are compared in each case
MAX_TICKS = 10_000  # of cronsim for these, which take it some hundred
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)


class Case(NamedTuple):
    """One comparison. Its text says all that is needed to repeat it."""

    seed: int
    expression: str
    timezone: str
    start: datetime


class Difference(NamedTuple):
    """The first place where the answers part."""

    ours: datetime | None
    theirs: datetime | None
    start: datetime
    """What both answers come at or after."""


class Bounded(CronSim):
    """Ends where it would go round for ever."""

    ticks = 0

    def tick(self, seconds: int = 1) -> None:
        """Called by cronsim with each move."""
        self.ticks += 1
        if self.ticks > MAX_TICKS:
            raise StopIteration
        super().tick(seconds)


def agreed(seeds: Iterable[int]) -> int:
    """How many cases these seeds make. Raises AssertionError for a difference that nothing explains."""
    compared = 0
    for seed in seeds:
        one = case(seed)
        if one is None:
            continue
        compared += 1
        difference = compare(one)
        assert difference is None or explain(one, difference), (one, difference)
    return compared


def case(seed: int) -> Case | None:
    """Each zone's turn comes; None where the expression names a date that never comes."""
    random = seeded(seed)
    zones = zones_with_shifts()
    timezone = zones[seed % len(zones)]
    expression = random.choice([nightly_expression, nightly_expression, random_expression])(random)
    try:
        validate(expression)
    except InvalidScheduleError:
        return None
    return Case(seed, expression, timezone, random_start(random, timezone))


def compare(case: Case) -> Difference | None:
    """None where both give the same instants."""
    zone = ZoneInfo(case.timezone)
    ours = islice(instants(case.expression, case.timezone, start=case.start), INSTANTS)
    theirs = islice(Bounded(case.expression, (case.start - MICROSECOND).astimezone(zone)), INSTANTS)
    start = case.start
    for our, their in zip_longest(ours, (each.astimezone(UTC) for each in theirs)):
        if our != their:
            return Difference(our, their, start)
        start = our + MICROSECOND
    return None


def explain(case: Case, difference: Difference) -> str | None:
    """The kind of the difference; None where nothing explains it, or where ours is wrong."""
    ours, theirs, start = difference
    if ours is None or not _is_right(case, ours, start):
        return None
    if theirs is None:
        return "no answer"
    if theirs < start:
        return "before the start"
    if len(case.expression.split()) == 6 and read(case.expression).is_fixed:
        return "six fields"
    return _kind_of_shift(case, start, max(ours, theirs))


def _is_right(case: Case, ours: datetime, start: datetime) -> bool:
    """Whether ours is the first that the schedule literally means."""
    # What lies further back than two days was no shift's doing.
    begin = max(start, ours - 2 * DAY)
    return literal_instants(case.expression, case.timezone, begin, ours + MICROSECOND) == [ours]


def _kind_of_shift(case: Case, start: datetime, end: datetime) -> str | None:
    """What is odd about the zone's shifts in that time."""
    zone = ZoneInfo(case.timezone)
    for day in _days_of_shifts(case.timezone, start - DAY, end + DAY):
        after = next(at for n in range(1441) if _offset(zone, at := day + n * MINUTE) != _offset(zone, day))
        shows = after.astimezone(zone).replace(tzinfo=None)
        showed = (after - MINUTE).astimezone(zone).replace(tzinfo=None) + MINUTE
        if 0 in (shows.hour, showed.hour) or shows.date() != showed.date():
            return "midnight"
        if shows.minute or showed.minute or after.minute:
            return "odd shift"
    return None


def _days_of_shifts(timezone: str, start: datetime, end: datetime) -> list[datetime]:
    days = [day for year in range(start.year, end.year + 1) for day in days_of_shifts(timezone, year)]
    return [day for day in days if start - DAY <= day <= end]


def _offset(zone: ZoneInfo, at: datetime) -> timedelta | None:
    return at.astimezone(zone).utcoffset()
