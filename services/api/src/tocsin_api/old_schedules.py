"""PURE. Schedules of the NestJS scheduler, said as Tocsin says them.

That one reads them with the package `cron`, which comes with `@nestjs/schedule`. Its grammar is nearly Tocsin's.
It differs where a step is longer than its field, where a range has one value, in a step that begins at a day of
the week, and in what makes a day field count as given: there that it leaves days out, here that no star begins it.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from tocsin_common.errors import InvalidScheduleError, shown
from tocsin_common.schedule_fields import FIELDS, values

PRESETS = {
    "@minutely": "* * * * *",
    "@secondly": "* * * * * *",
    "@weekdays": "0 0 * * 1-5",
    "@weekends": "0 0 * * 0,6",
}
"""Those that Tocsin has no alias for."""
_DAY_OF_MONTH, _MONTH, _DAY_OF_WEEK = 3, 4, 5  # of FIELDS
_ITEM = re.compile(r"(?:[*?]|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d{1,4}))?", re.ASCII)

SECONDS_FIRST = "six fields, seconds first, as here"
EITHER_DAY = "comes on these days of the month and on these of the week, as cron has it; node-cron wants both"
FROM_ONE = "its months count from 1; before cron 3 (@nestjs/schedule 4) they did from 0: then --months-from-zero"
MONTHS_FROM_ZERO = "with --months-from-zero allowed are 0 to 11 or jan/…/dec, *, lists, ranges a-b and steps */n"

Values = frozenset[int]


class Translated(NamedTuple):
    """A schedule, and what its owner should know about it."""

    schedule: str
    remarks: tuple[str, ...]


def translate(expression: str, *, months_from_zero: bool = False) -> Translated:
    """The same schedule as Tocsin says it; what that scheduler could not read stays as it is, for others to judge.

    Before its version 3 the package counted months from 0 and knew no 7 as day of the week. A month that was none
    then would be one here: that raises InvalidScheduleError.
    """
    fields = PRESETS.get(expression.strip().lower(), expression).split()
    if len(fields) not in (5, 6):
        return Translated(expression, ())
    places = range(len(FIELDS) - len(fields), len(FIELDS))
    meant = [
        _meant(place, text.lower(), from_zero=months_from_zero) for place, text in zip(places, fields, strict=True)
    ]
    if months_from_zero and meant[-2] is None:
        raise InvalidScheduleError(f"the month field does not allow {shown(fields[-2])}: {MONTHS_FROM_ZERO}")
    said = [_said(*each) for each in zip(places, fields, meant, strict=True)]
    said[-3], said[-1] = _joined(said[-3], said[-1], meant[-3], meant[-1])
    schedule = " ".join(said)
    remarks = [SECONDS_FIRST] if len(fields) == 6 else []
    if said != expression.split():
        remarks.append(f"'{' '.join(expression.split())}' becomes '{schedule}'")
    if _is_given(_DAY_OF_MONTH, meant[-3]) and _is_given(_DAY_OF_WEEK, meant[-1]):
        remarks.append(EITHER_DAY)
    if not months_from_zero and _depends_on_the_first_month(fields[-2].lower(), meant[-2]):
        remarks.append(FROM_ONE)
    return Translated(schedule, tuple(remarks))


def _meant(place: int, text: str, *, from_zero: bool) -> Values | None:
    """The values that the package reads in a field, Sunday as 0; None where it cannot read it."""
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        of_item = None if match is None else _of_item(place, match, from_zero=from_zero)
        if of_item is None:
            return None
        found.update(of_item)
    return frozenset(_one_sunday(place, found))


def _of_item(place: int, match: re.Match[str], *, from_zero: bool) -> range | None:
    shift = 1 if place == _MONTH and from_zero else 0
    lowest, highest = FIELDS[place].low, 6 if place == _DAY_OF_WEEK and from_zero else FIELDS[place].high
    low: int | None = lowest
    high: int | None = highest
    if match["first"] is not None:
        low = _number(place, match["first"], shift)
        if match["last"] is not None:
            high = _number(place, match["last"], shift)
        elif match["step"] is None:
            high = low
    step = int(match["step"] or 1)
    if low is None or high is None or step == 0 or not lowest <= low <= high <= highest:
        return None
    return range(low, high + 1, step)


def _number(place: int, text: str, shift: int) -> int | None:
    """As Tocsin counts; what is out of range is found later."""
    if text in FIELDS[place].names:
        return FIELDS[place].names[text]
    return int(text) + shift if text.isdigit() and len(text) <= 2 else None


def _said(place: int, text: str, meant: Values | None) -> str:
    """The text itself, where it means that here too."""
    return text if meant is None or _means_here(place, text) == meant else _listed(place, meant)


def _means_here(place: int, text: str) -> Values | None:
    if place in (_DAY_OF_MONTH, _DAY_OF_WEEK) and ",*" in text and not text.startswith("*"):
        return None  # in a list of days a star comes first, where one is
    try:
        return frozenset(_one_sunday(place, values(place, text.lower())))
    except InvalidScheduleError:
        return None


def _joined(of_month: str, of_week: str, month_days: Values | None, week_days: Values | None) -> tuple[str, str]:
    """Both day fields, so that Tocsin joins them as the package does: by *or* where both leave days out."""
    if month_days is None or week_days is None:
        return of_month, of_week
    month_given, week_given = _is_given(_DAY_OF_MONTH, month_days), _is_given(_DAY_OF_WEEK, week_days)
    if month_given and week_given:  # here a star would join them by *and*
        return (
            _listed(_DAY_OF_MONTH, month_days) if of_month.startswith("*") else of_month,
            _listed(_DAY_OF_WEEK, week_days) if of_week.startswith("*") else of_week,
        )
    if month_given and not of_week.startswith("*"):
        return of_month, "*"
    if week_given and not of_month.startswith("*"):
        return "*", of_week
    return of_month, of_week


def _is_given(place: int, meant: Values | None) -> bool:
    """Whether a day field leaves days out."""
    return meant is not None and len(meant) < (7 if place == _DAY_OF_WEEK else 31)


def _depends_on_the_first_month(text: str, meant: Values | None) -> bool:
    return meant is not None and _meant(_MONTH, text, from_zero=True) != meant


def _one_sunday(place: int, found: Iterable[int]) -> set[int]:
    return {value % 7 for value in found} if place == _DAY_OF_WEEK else set(found)


def _listed(place: int, meant: Values) -> str:
    every = range(FIELDS[place].low, FIELDS[place].high + 1)
    return "*" if meant >= _one_sunday(place, every) else ",".join(map(str, sorted(meant)))
