"""What docs/schedules.md says of schedules is what the code does."""

import re
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from repository import tracked
from tocsin_common import schedule
from tocsin_common.errors import InvalidScheduleError

DOCUMENT = tracked.texts()["docs/schedules.md"]
PLACES = {
    "as day of month": "0 0 {} * *",
    "as day of week": "0 0 * * {}",
    "jan": "0 0 1 {} *",
    "sun": "0 0 * * {}",
}

WINTER = ["02:00+0100", "02:30+0100"]


def part(name: str) -> str:
    """The text under a heading."""
    return DOCUMENT.split(f"\n## {name}\n")[1].split("\n## ")[0]


ACCEPTED = part("What is accepted")
ROWS = re.findall(r"^\| (`.*?) \| (.*) \|$", ACCEPTED, re.MULTILINE)


def examples() -> list[str]:
    """The parts that the table shows, each in the field that it is said to be of."""
    found = []
    for cell, _ in ROWS:
        place = next((field for words, field in PLACES.items() if words in cell.replace("`", "")), "{} * * * *")
        for word in re.findall(r"`(.*?)`", cell):
            found.append((PLACES["sun"] if word in ("sun", "sat") else place).format(word))
    return found


def test_the_aliases_are_those_that_there_are() -> None:
    assert set(re.findall(r"`(@\w+)`", ACCEPTED)) == {*schedule.ALIASES, schedule.REBOOT}


def test_the_greatest_length_is_the_one_that_is_said() -> None:
    assert f"at most {schedule.MAX_LENGTH} characters" in ACCEPTED


def test_the_table_has_examples_of_every_kind() -> None:
    assert {"* * * * *", "10-40/10 * * * *", "0 0 L * *", "0 0 * * mon#2", "0 0 1 dec *", "0 0 * * sat"} <= {
        *examples()
    }


@pytest.mark.parametrize("expression", examples())
def test_what_is_accepted_by_the_document_is_accepted(expression: str) -> None:
    schedule.validate(expression)


@pytest.mark.parametrize("expression", ["*/60 * * * *", "0 */24 * * *"])
def test_steps_that_say_what_they_do_are_kept(expression: str) -> None:
    assert f"`{max(expression.split(), key=len)}`" in ACCEPTED
    schedule.validate(expression)


@pytest.mark.parametrize(
    ("said", "expression"),
    [
        ("22-6", "0 22-6 * * *"),
        ("5-5", "0 5-5 * * *"),
        ("*/90", "*/90 * * * *"),
        ("R", "R * * * *"),
        ("H", "H * * * *"),
        ("0 0 30 2 *", "0 0 30 2 *"),
    ],
)
def test_what_is_refused_by_the_document_is_refused(said: str, expression: str) -> None:
    assert f"`{said}`" in ACCEPTED
    with pytest.raises(InvalidScheduleError):
        schedule.validate(expression)


@pytest.mark.parametrize(
    ("expression", "zone", "day", "times"),
    [
        # The clock goes from 02:00 to 03:00, and later from 03:00 to 02:00.
        ("30 2 * * *", "Europe/Berlin", (2026, 3, 29), ["03:00+0200"]),
        ("*/30 2 * * *", "Europe/Berlin", (2026, 3, 29), []),
        ("30 2 * * *", "Europe/Berlin", (2026, 10, 25), ["02:30+0200"]),
        (
            "*/30 2 * * *",
            "Europe/Berlin",
            (2026, 10, 25),
            ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"],
        ),
        # It goes from 02:00 to 02:30.
        ("15 2 * * *", "Australia/Lord_Howe", (2026, 10, 4), ["02:30+1100"]),
    ],
)
def test_shifts_of_clocks_do_what_the_table_says(
    expression: str, zone: str, day: tuple[int, int, int], times: list[str]
) -> None:
    start = datetime(*day, tzinfo=ZoneInfo(zone))
    coming = islice(schedule.instants(expression, zone, start=start), 8)

    local = [at.astimezone(ZoneInfo(zone)) for at in coming]

    assert [f"{at:%H:%M%z}" for at in local if at.date() == start.date()] == times
