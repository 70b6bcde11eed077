"""PURE. A schedule in words, for people."""

from functools import lru_cache

from cron_descriptor import DescriptionTypeEnum, ExpressionDescriptor, Options

from tocsin_common import schedule
from tocsin_common.schedule_fields import FIELDS, values

ON_REBOOT = "Once, whenever scheduling starts after a time without any scheduler"
_MONTH, _DAY_OF_MONTH, _DAY_OF_WEEK = 4, 3, 5  # of FIELDS


@lru_cache(maxsize=1024)  # each description reads a file of words
def in_words(expression: str) -> str:
    """What a valid schedule says, without its zone."""
    if schedule.is_reboot(expression):
        return ON_REBOOT
    fields = schedule.meaning(expression).lower().split()
    times = [_plain(number, text) for number, text in enumerate(fields[:-3], len(FIELDS) - len(fields))]
    of_month, month, of_week = fields[-3:]
    joined_by_and = of_month.startswith("*") or of_week.startswith("*")
    nth = of_week.split(",") if "#" in of_week else []
    plain_week = nth[0] if nth else _week(of_week)
    plain_day = _days(of_month)
    if not joined_by_and and "*" in (plain_day, plain_week):
        plain_day = plain_week = "*"  # every day, or another
    text = _describe(" ".join([*times, plain_day, _plain(_MONTH, month), plain_week]))
    if joined_by_and:
        text = text.replace(", or on ", ", only on ")
    if len(nth) > 1:
        text = text.replace(_nth(nth[0]), ", and".join(map(_nth, nth)).replace("and,", "and"))
    if "l" in of_month.split(",") and plain_day not in ("*", "L"):
        text = text.replace(" of the month", " and the last day of the month", 1)
    return text


def _plain(number: int, text: str) -> str:
    """A field as the describer says it right: it would call `*/45` every 45 minutes."""
    low, high = FIELDS[number].low, FIELDS[number].high
    base, _, step = text.partition("/")
    if base == "*" and step.isdigit() and (high - low + 1) % int(step) == 0:
        return text
    if "-" in text and not {",", "/"} & set(text):
        allowed = values(number, text)
        return "*" if allowed == tuple(range(low, high + 1)) else f"{allowed[0]}-{allowed[-1]}"
    return _listed(number, text)


def _days(of_month: str) -> str:
    """Days of the month; a step begins anew with each month, so it never is every other day."""
    numbers = ",".join(day for day in of_month.split(",") if day != "l")
    if not numbers:
        return "L"
    return _listed(_DAY_OF_MONTH, numbers) if "/" in numbers else _plain(_DAY_OF_MONTH, numbers)


def _listed(number: int, text: str) -> str:
    allowed = values(number, text)
    is_every = allowed == tuple(range(FIELDS[number].low, FIELDS[number].high + 1))
    return "*" if is_every else ",".join(map(str, allowed))


def _week(of_week: str) -> str:
    """Days of the week, Sunday once only."""
    days = sorted({value % 7 for value in values(_DAY_OF_WEEK, of_week)})
    if len(days) == 7:
        return "*"
    if days[0] == 0 and days[-1] == 6:
        days = [*days[1:], 7]
    is_range = len(days) > 2 and days[-1] - days[0] == len(days) - 1
    return f"{days[0]}-{days[-1]}" if is_range else ",".join(map(str, days))


def _nth(day: str) -> str:
    """`, on the first Monday of the month`"""
    return _describe(f"0 0 * * {day}", DescriptionTypeEnum.DAYOFWEEK)


def _describe(expression: str, part: DescriptionTypeEnum = DescriptionTypeEnum.FULL) -> str:
    options = Options(locale_code="en_US", use_24hour_time_format=True)
    return str(ExpressionDescriptor(expression, options).get_description(part))
