"""PURE. Examples of schedules as a table for people: in words, and when they come."""

from datetime import UTC, datetime
from itertools import islice

from tocsin_api.words import in_words
from tocsin_common import schedule

SINCE = datetime(2027, 1, 1, tzinfo=UTC)  # a Friday
COUNT = 2
HEADER = f"| schedule | says | comes first in {SINCE:%Y}, in UTC |\n|---|---|---|"
EXAMPLES = (
    "*/5 * * * *",
    "*/30 * * * * *",
    "0 9 * * mon-fri",
    "30 8,12,18 * * *",
    "0 */6 * * *",
    "15 10 1 * *",
    "0 0 L * *",
    "0 18 * * mon#1",
    "0 0 1 jan,jul *",
    "59 59 23 31 12 *",
    "@hourly",
    "@daily",
    "@weekly",
    "@monthly",
    "@yearly",
    "@reboot",
)


def table() -> str:
    """One row for each example."""
    return "\n".join([HEADER, *(f"| `{each}` | {in_words(each)} | {_comes(each)} |" for each in EXAMPLES)])


def _comes(expression: str) -> str:
    found = islice(schedule.instants(expression, "UTC", start=SINCE), COUNT)
    return ", ".join(f"{at:%a %-d %b %H:%M:%S}".removesuffix(":00") for at in found) or "at no known time"
