"""PURE. How often a schedule comes, at its most."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise, takewhile

from tocsin_common.errors import InvalidScheduleError
from tocsin_common.schedule import is_reboot, local_times
from tocsin_common.schedule_fields import Fields, parse

DAY_S, HOUR_S, MINUTE_S = 86400, 3600, 60
_START = datetime(2024, 1, 1)  # noqa: DTZ001 - what a clock shows; a leap year
_YEARS = 5
"""Days of months, or of weeks, that can follow each other have done so by then."""
_YEARS_OF_BOTH = 28 + _YEARS
"""Where both are given: after 28 years the same dates fall on the same days of the week again."""


def check_interval(expression: str, *, at_least_s: int) -> None:
    """Raise InvalidScheduleError where the valid schedule comes more often, shifts of clocks aside."""
    if at_least_s <= 1 or is_reboot(expression):
        return
    shortest_s = shortest_interval_s(expression)
    if shortest_s < at_least_s:
        raise InvalidScheduleError(
            f"comes again after {shortest_s} s; at least {at_least_s} s must lie between its instants"
        )


def shortest_interval_s(expression: str) -> int:
    """Between two times of a valid schedule other than REBOOT, on a clock that is never shifted."""
    fields = parse(expression)
    within_a_day = list(_intervals_s(fields))
    over_midnight = DAY_S - _length_s(fields)
    if not within_a_day or over_midnight < min(within_a_day):  # the days take longer to find
        within_a_day.append(over_midnight + DAY_S * (_fewest_days(fields.days) - 1))
    return min(within_a_day)


def _intervals_s(fields: Fields) -> Iterator[int]:
    """Between times that follow each other on one day, the shortest among them."""
    in_minute = fields.seconds[-1] - fields.seconds[0]
    in_hour = MINUTE_S * (fields.minutes[-1] - fields.minutes[0]) + in_minute
    yield from (after - before for before, after in pairwise(fields.seconds))
    yield from (MINUTE_S * (after - before) - in_minute for before, after in pairwise(fields.minutes))
    yield from (HOUR_S * (after - before) - in_hour for before, after in pairwise(fields.hours))


def _length_s(fields: Fields) -> int:
    """From the day's first time to its last."""
    parts = ((fields.hours, HOUR_S), (fields.minutes, MINUTE_S), (fields.seconds, 1))
    return sum(unit_s * (values[-1] - values[0]) for values, unit_s in parts)


@lru_cache(maxsize=1024)
def _fewest_days(days: str) -> int:
    """Between two days that follow each other."""
    of_month, _, of_week = days.split()
    end = _START.replace(year=_START.year + (_YEARS if "*" in (of_month, of_week) else _YEARS_OF_BOTH))
    every = takewhile(lambda day: day < end, local_times(f"0 0 {days}", start=_START))
    fewest = (end - _START).days
    for before, after in pairwise(every):
        fewest = min(fewest, (after - before) // timedelta(days=1))
        if fewest == 1:
            break
    return fewest
