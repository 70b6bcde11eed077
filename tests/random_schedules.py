"""Random schedules, time zones and moments, for tests that compare what is found with a second opinion."""

from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo, available_timezones

MONTHS = ("jan", "FEB", "Mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "DEC")
DAYS = ("sun", "MON", "Tue", "wed", "thu", "fri", "sat")
FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ("L",)),
    ("month", 1, 12, MONTHS),
    ("week", 0, 7, DAYS),
)
FIRST_YEAR, LAST_YEAR = 2007, 2037
"""Among them: a day that Apia skipped, shifts at midnight, shifts of half an hour."""


def seeded(seed: int) -> Random:
    """Draws the same each time."""
    return Random(seed)  # noqa: S311 - no secret


def random_expression(random: Random, *, most_fields: int = 6) -> str:
    """Drawn from what we and cronsim both know; a strategy of hypothesis would take ten times as long."""
    fields = FIELDS if most_fields == 6 and random.random() < 0.5 else FIELDS[1:]
    parts = [_field(random, *field) for field in fields]
    if parts[-3].startswith("*") and random.random() < 0.1:
        parts[-1] = ",".join(f"{random.randint(0, 7)}#{random.randint(1, 5)}" for _ in range(random.randint(1, 2)))
    return " ".join(parts)


def nightly_expression(random: Random, *, most_fields: int = 6) -> str:
    """One that comes at the hours and on the days at which clocks are shifted."""
    *_, minute, hour, day, month, week = random_expression(random, most_fields=5).split()
    hour = random.choice(["*", "*/2", "*/3", "0", "1", "2", "3", "0-3", "1,2", "2-3", "23", "0,12", hour])
    minute = random.choice(["0", "30", "*/30", "*/15", "0,15,45", "*", "10-50/20", "59", minute])
    days = random.choice(["* * *", "* * 0-5", "1-29 * sat-7", "L,1-20 * 0", "* * sun", f"{day} {month} {week}"])
    second = "" if most_fields == 5 else random.choice(["", "0 ", "30 ", "*/20 ", "5-10 "])
    return f"{second}{minute} {hour} {days}"


def _field(random: Random, name: str, low: int, high: int, words: tuple[str, ...]) -> str:
    if random.random() < 0.3:
        return "*"
    items = [_item(random, low, high, words) for _ in range(random.choice([1, 1, 1, 2, 3]))]
    # The two day fields mean something else where one begins with a star, so there it may only come first.
    star_comes_first = name in ("day", "week")
    return ",".join(sorted(items) if star_comes_first else items)


def _item(random: Random, low: int, high: int, words: tuple[str, ...]) -> str:
    kind = random.choice(["number", "range", "range with step", "star with step", "word"])
    if kind == "star with step":
        return f"*/{random.randint(1, _most(low, high))}"
    if kind == "word" and words:
        return random.choice(words)
    begin, end = sorted(random.sample(range(low, high + 1), 2))
    if kind == "range":
        return f"{begin}-{end}"
    if kind == "range with step":
        return f"{begin}-{end}/{random.randint(1, min(end - begin + 1, _most(low, high)))}"
    return str(random.randint(low, high))


def _most(low: int, high: int) -> int:
    """The largest step: a week has the days 0 to 7, but they are seven."""
    return 7 if high == 7 else high - low + 1


def random_start(random: Random, timezone: str) -> datetime:
    """A moment, mostly near a shift of the zone's clock, and not always a whole second."""
    year = random.randrange(FIRST_YEAR, LAST_YEAR)
    days = days_of_shifts(timezone, year)
    if days and random.random() < 0.8:
        start = random.choice(days) + timedelta(seconds=random.randint(-2 * 86400, 2 * 86400))
    else:
        start = datetime(year, 1, 1, tzinfo=UTC) + timedelta(seconds=random.randrange(365 * 86400))
    return start + timedelta(microseconds=random.choice([0, 0, 0, 1, 999_999]))


@cache
def zones_with_shifts() -> tuple[str, ...]:
    """Every time zone whose clock is shifted between FIRST_YEAR and LAST_YEAR."""
    months = [
        datetime(year, month, 1, tzinfo=UTC) for year in range(FIRST_YEAR, LAST_YEAR) for month in range(1, 13)
    ]
    zones = {name: ZoneInfo(name) for name in sorted(available_timezones() - {"localtime", "Factory"})}
    return tuple(
        name for name, zone in zones.items() if len({at.astimezone(zone).utcoffset() for at in months}) > 1
    )


@cache
def days_of_shifts(timezone: str, year: int) -> tuple[datetime, ...]:
    """The midnights (of UTC) of days in which a zone's clock is shifted."""
    zone = ZoneInfo(timezone)
    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(366)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    return tuple(day for day, one, other in zip(days, offsets, offsets[1:], strict=False) if one != other)
