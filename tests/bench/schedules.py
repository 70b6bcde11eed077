"""PURE. Schedules that are many and different, for tasks that are due when a bench wants them to be."""

from datetime import UTC, datetime, timedelta
from itertools import islice, product
from typing import NamedTuple

UTC_NAME = "UTC"
ZONES = (
    "Africa/Cairo",
    "Africa/Johannesburg",
    "Africa/Lagos",
    "Africa/Nairobi",
    "America/Bogota",
    "America/Chicago",
    "America/Denver",
    "America/Halifax",
    "America/Los_Angeles",
    "America/Mexico_City",
    "America/New_York",
    "America/Santiago",
    "America/Sao_Paulo",
    "Asia/Bangkok",
    "Asia/Dubai",
    "Asia/Hong_Kong",
    "Asia/Jakarta",
    "Asia/Karachi",
    "Asia/Kolkata",
    "Asia/Seoul",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/Istanbul",
    "Europe/London",
    "Europe/Paris",
    "Pacific/Auckland",
    "UTC",
)
"""28 zones with 3,600 seconds of an hour each: more than 100,000 schedules that fire hourly."""
DAYS = 28  # of any month
HALF_A_YEAR = timedelta(days=183)


class When(NamedTuple):
    """A schedule in its time zone, or one instant."""

    schedule: str | None
    timezone: str = UTC_NAME
    run_at: datetime | None = None


def one_offs(start: datetime, interval: timedelta, count: int) -> list[When]:
    """`count` instants from `start` on."""
    return [When(None, run_at=start + n * interval) for n in range(count)]


def at(instant: datetime) -> list[When]:
    """The one schedule that is due at `instant`, then a year later."""
    at_utc = instant.astimezone(UTC)
    return [When(f"{at_utc:%-S %-M %-H %-d %-m} *")]


def seconds_of_a_minute() -> list[When]:
    """60 schedules, one for each second of every minute."""
    return [When(f"{second} * * * * *") for second in range(60)]


def far_off(count: int, now: datetime) -> list[When]:
    """`count` different schedules of which none is due before some five months have passed."""
    month = (now + HALF_A_YEAR).month
    times = product(range(1, DAYS + 1), range(24), range(60))
    return [When(f"{minute} {hour} {day} {month} *") for day, hour, minute in islice(times, count)]


def hourly(count: int) -> list[When]:
    """`count` different schedules that each fire once an hour, spread evenly over its seconds."""
    times = product(ZONES, range(60), range(60))
    return [When(f"{second} {minute} * * * *", zone) for zone, minute, second in islice(times, count)]


def next_multiple(after: datetime, step: timedelta) -> datetime:
    """The first instant at or after `after` that is a whole number of steps from midnight, UTC."""
    midnight = after.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + -(-(after - midnight) // step) * step


def seconds_between(begin: datetime, end: datetime) -> list[datetime]:
    """Each whole second from `begin` to `end`."""
    first = next_multiple(begin, timedelta(seconds=1))
    return [first + timedelta(seconds=n) for n in range((end - first) // timedelta(seconds=1) + 1)]
