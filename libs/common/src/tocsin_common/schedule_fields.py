"""PURE. What a cron expression says, field by field; what cron does not mean is refused with the reason."""

import calendar
import re
from functools import lru_cache
from typing import NamedTuple

from tocsin_common.errors import MAX_ECHO, InvalidScheduleError, shown

MAX_LENGTH = 128  # a longer list costs seconds only to be read
REBOOT = "@reboot"
_MEANINGS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
ALIASES = (*_MEANINGS, REBOOT)
EVERY_DAY = "* * *"


class Fields(NamedTuple):
    """An expression, read: the times of day that it allows, and its fields for the days."""

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    days: str
    """Day of month, month and day of week, in lower case."""
    is_fixed: bool
    """Neither its minute nor its hour begins with a star: it means times of day, not a rhythm."""


class Field(NamedTuple):
    """What a field may hold."""

    name: str
    low: int
    high: int
    names: dict[str, int]


_MONTHS = {name.lower(): n for n, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: n for n, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
FIELDS = (
    Field("second", 0, 59, {}),
    Field("minute", 0, 59, {}),
    Field("hour", 0, 23, {}),
    Field("day of month", 1, 31, {}),
    Field("month", 1, 12, _MONTHS),
    Field("day of week", 0, 7, _DAYS),
)
_DAY_OF_MONTH, _DAY_OF_WEEK = FIELDS[3], FIELDS[5]
_ITEM = re.compile(r"(?P<base>\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d{1,4}))?", re.ASCII)
_NTH_DAY = re.compile(r"(?P<day>\w+)#[1-5]", re.ASCII)


def normal(expression: str) -> str:
    """One spelling: tasks with the same expression share an entry in the scheduler's heap."""
    expression = " ".join(expression.split())
    return expression.lower() if expression.startswith("@") else expression


def is_reboot(expression: str) -> bool:
    """Whether it comes when scheduling starts anew, and at no time of its own."""
    return expression.lower() == REBOOT


def meaning(expression: str) -> str:
    """The five or six fields that an alias stands for; any other expression is returned as it is.

    Raises InvalidScheduleError for an unknown alias, and for REBOOT, which no fields say.
    """
    if not expression.startswith("@"):
        return expression
    fields = _MEANINGS.get(expression.lower())
    if fields is None:
        raise InvalidScheduleError(f"{shown(expression)} is no known alias; allowed are {', '.join(ALIASES)}")
    return fields


def parse(expression: str) -> Fields:
    """Read `expression`, which is not REBOOT; raises InvalidScheduleError."""
    if len(expression) > MAX_LENGTH:
        raise InvalidScheduleError(f"has {len(expression)} characters, at most {MAX_LENGTH} are allowed")
    if not expression.isascii():
        strange = next(character for character in expression if not character.isascii())
        raise InvalidScheduleError(f"holds {strange!r}, only ASCII characters are allowed")
    texts = meaning(expression).lower().split()
    if len(texts) not in (5, 6):
        raise InvalidScheduleError(f"has {len(texts)} fields; allowed are 5, or 6 with seconds first")
    if len(texts) == 5:
        texts.insert(0, "0")
    seconds, minutes, hours = (values(number, texts[number]) for number in range(3))
    days = _checked_days(*texts[3:])
    return Fields(hours, minutes, seconds, days, not (texts[1].startswith("*") or texts[2].startswith("*")))


# Cached for speed, and so that all schedules share what is equal: a hundred thousand are held in memory.
@lru_cache(maxsize=4096)
def values(number: int, text: str) -> tuple[int, ...]:
    """The numbers that the field at this place in FIELDS allows, in order; `text` is in lower case."""
    field = FIELDS[number]
    return tuple(sorted({value for item in text.split(",") for value in _values_of_item(field, item)}))


@lru_cache(maxsize=4096)
def _checked_days(of_month: str, month: str, of_week: str) -> str:
    """The three fields as one, checked."""
    for field, text in zip(FIELDS[3:], (of_month, month, of_week), strict=True):
        for item in text.split(","):
            _values_of_item(field, item)
    _check_days(of_month, of_week)
    return f"{of_month} {month} {of_week}"


def _values_of_item(field: Field, item: str) -> range:
    if len(item) > MAX_ECHO:
        raise _refusal(field, item)
    if field is _DAY_OF_MONTH and item == "l":
        return range(0)
    nth = _NTH_DAY.fullmatch(item)
    if field is _DAY_OF_WEEK and nth is not None:
        _number(field, nth["day"])
        return range(0)
    match = _ITEM.fullmatch(item)
    if match is None:
        raise _refusal(field, item)
    return _values_of_range(field, item, match)


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


def _values_of_range(field: Field, item: str, match: re.Match[str]) -> range:
    low, high = field.low, field.high
    if match["first"] is not None:
        low = _number(field, match["first"])
        if match["last"] is not None:
            high = _number(field, match["last"])
            if low >= high:
                raise _refusal(field, item, "a range must rise")
        elif match["step"] is None:
            return range(low, low + 1)
        elif field is _DAY_OF_WEEK:  # up to Saturday or to Sunday? croniter and cron differ
            raise _refusal(field, item, "a step needs a range, such as 1-5/2")
    step = 1 if match["step"] is None else int(match["step"])
    most = min(high - low + 1, 7) if field is _DAY_OF_WEEK else high - low + 1  # 0 and 7 are one day
    if not 1 <= step <= most:
        raise _refusal(field, item, f"a step here is 1 to {most}")
    return range(low, high + 1, step)


def _number(field: Field, text: str) -> int:
    if text in field.names:
        return field.names[text]
    if not text.isdigit() or len(text) > 2 or not field.low <= int(text) <= field.high:
        raise _refusal(field, text)
    return int(text)


def _refusal(field: Field, value: str, why: str = "") -> InvalidScheduleError:
    allowed = f"allowed are {field.low} to {field.high}"
    if field.names:
        allowed += f" or {'/'.join(field.names)}"
    if field is _DAY_OF_MONTH:
        allowed += ", L for the last day"
    if field is _DAY_OF_WEEK:
        allowed += ", day#1 to day#5 for the nth of a month"
    allowed += ", *, lists, ranges a-b and steps */n"
    reason = f": {why}" if why else ""
    return InvalidScheduleError(f"the {field.name} field does not allow {shown(value)}{reason}; {allowed}")
