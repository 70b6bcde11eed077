"""What becomes of a schedule where its zone's clock is shifted."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from literal_cron import literal_instants
from random_schedules import nightly_expression, random_start, seeded, zones_with_shifts
from tocsin_common.schedule import instants, instants_before
from tocsin_common.timezones import shifts

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def shown(expression: str, timezone: str, start: str, count: int) -> list[str]:
    """The next instants on the zone's clock, with the offset."""
    zone = ZoneInfo(timezone)
    found = instants(expression, timezone, start=datetime.fromisoformat(start).replace(tzinfo=zone))
    return [f"{instant.astimezone(zone):%d %H:%M:%S%z}" for instant in islice(found, count)]


@pytest.mark.parametrize(
    ("expression", "timezone", "start", "expected"),
    [
        # Clocks go from 02:00 to 03:00.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28", ["28 02:30:00+0100", "29 03:00:00+0200"]),
        ("0 2 * * *", "Europe/Berlin", "2026-03-29", ["29 03:00:00+0200", "30 02:00:00+0200"]),
        ("15 30 2 * * *", "Europe/Berlin", "2026-03-29", ["29 03:00:00+0200", "30 02:30:15+0200"]),
        ("* 59 2 * * *", "Europe/Berlin", "2026-03-29", ["29 03:00:00+0200", "30 02:59:00+0200"]),
        ("59 2 28-29 3 *", "America/New_York", "2027-03-01", ["28 02:59:00-0400", "29 02:59:00-0400"]),
        ("30 2 8 3 *", "America/New_York", "2026-03-01", ["08 03:00:00-0400"]),
        # Half an hour, from 02:00 to 02:30.
        ("10,20 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["04 02:30:00+1100", "05 02:10:00+1100"]),
        ("45 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["04 02:45:00+1100"]),
        # Midnight does not come.
        ("@daily", "America/Havana", "2026-03-07 12:00", ["08 01:00:00-0400", "09 00:00:00-0400"]),
        # Friday the 30th does not come.
        ("0 9,17 * * *", "Pacific/Apia", "2011-12-29 18:00", ["31 00:00:00+1400", "31 09:00:00+1400"]),
        ("0 9 * * fri", "Pacific/Apia", "2011-12-29", ["31 00:00:00+1400", "06 09:00:00+1400"]),
    ],
)  # fmt: skip
def test_a_fixed_time_that_the_clock_skips_comes_once_right_after(expression, timezone, start, expected):
    assert shown(expression, timezone, start, len(expected)) == expected


def test_skipped_times_and_the_one_right_after_them_are_one_instant():
    assert shown("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29", 3) == [
        "29 03:00:00+0200",
        "29 03:30:00+0200",
        "30 02:00:00+0200",
    ]


@pytest.mark.parametrize(
    ("expression", "timezone", "start", "expected"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-10-25", ["25 02:30:00+0200", "26 02:30:00+0100"]),
        ("0 30 2 * * *", "Europe/Berlin", "2026-10-25", ["25 02:30:00+0200", "26 02:30:00+0100"]),
        ("0 0-23 25 * *", "Europe/Berlin", "2026-10-25 01:30", ["25 02:00:00+0200", "25 03:00:00+0100"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["05 01:45:00+1100", "06 01:45:00+1030"]),
        ("@daily", "America/Havana", "2026-11-01", ["01 00:00:00-0400", "02 00:00:00-0500"]),
        # From 00:01 back to 23:01 of the day before.
        ("0 0 * * *", "America/St_Johns", "2010-11-07", ["07 00:00:00-0230", "08 00:00:00-0330"]),
        ("30 23 * * *", "America/St_Johns", "2010-11-06", ["06 23:30:00-0230", "07 23:30:00-0330"]),
    ],
)
def test_a_fixed_time_that_the_clock_repeats_comes_the_first_time_only(expression, timezone, start, expected):
    assert shown(expression, timezone, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "timezone", "start", "expected"),
    [
        ("*/30 * * * *", "Europe/Berlin", "2026-03-29 01:30", ["29 01:30:00+0100", "29 03:00:00+0200"]),
        ("0 */2 * * *", "Europe/Berlin", "2026-03-29", ["29 00:00:00+0100", "29 04:00:00+0200"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-29", ["30 02:00:00+0200", "30 02:30:00+0200"]),
        ("*/20 * * * *", "Australia/Lord_Howe", "2026-10-04 01:30", ["04 01:40:00+1030", "04 02:40:00+1100"]),
        ("0 0 */6 * * *", "Pacific/Apia", "2011-12-29 17:00", ["29 18:00:00-1000", "31 00:00:00+1400"]),
    ],
)  # fmt: skip
def test_a_rhythm_leaves_out_the_times_that_the_clock_skips(expression, timezone, start, expected):
    assert shown(expression, timezone, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "timezone", "start", "expected"),
    [
        (
            "*/30 2 * * *",
            "Europe/Berlin",
            "2026-10-25",
            ["25 02:00:00+0200", "25 02:30:00+0200", "25 02:00:00+0100", "25 02:30:00+0100", "26 02:00:00+0100"],
        ),
        (
            "@hourly",
            "America/New_York",
            "2026-11-01 00:30",
            ["01 01:00:00-0400", "01 01:00:00-0500", "01 02:00:00-0500"],
        ),
        (
            "*/20 * * * *",
            "Australia/Lord_Howe",
            "2026-04-05 01:30",
            ["05 01:40:00+1100", "05 01:40:00+1030", "05 02:00:00+1030"],
        ),
        (
            "0 */12 * * *",
            "America/St_Johns",
            "2010-11-06 23:30",
            ["07 00:00:00-0230", "07 00:00:00-0330", "07 12:00:00-0330"],
        ),
    ],
)
def test_a_rhythm_goes_on_while_the_clock_repeats_itself(expression, timezone, start, expected):
    assert shown(expression, timezone, start, len(expected)) == expected


def test_a_start_among_repeated_times_is_the_one_that_is_meant():
    second = datetime(2026, 10, 25, 2, 15, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))

    assert next(instants("30 2 * * *", "Europe/Berlin", start=second)) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    assert next(instants("*/30 2 * * *", "Europe/Berlin", start=second)) == datetime(
        2026, 10, 25, 1, 30, tzinfo=UTC
    )


def test_a_rhythm_at_times_that_the_clock_always_skips_ends():
    start = datetime(2026, 1, 1, tzinfo=UTC)

    assert list(instants("*/5 2 25-31 3 */7", "Europe/Berlin", start=start)) == []
    assert (
        next(instants_before("*/5 2 25-31 3 */7", "Europe/Berlin", end=start)).year == 1980
    )  # summer began in April


@settings(max_examples=40)
@given(st.integers(0, 2**32))
@example(15842)
def test_the_instants_are_those_that_the_schedule_literally_means(seed):
    random = seeded(seed)
    timezone = random.choice(zones_with_shifts())
    expression = nightly_expression(random)
    start = random_start(random, timezone)
    end = start + DAY
    literal = literal_instants(expression, timezone, start, end)

    found = list(takewhile(lambda instant: instant < end, instants(expression, timezone, start=start)))
    back = takewhile(
        lambda instant: instant >= start,
        instants_before(expression, timezone, end=end - timedelta(microseconds=1)),
    )

    assert found == literal, (expression, timezone, start)
    assert list(back) == literal[::-1], (expression, timezone, start)
    assert all(earlier < later for earlier, later in pairwise(found))


def test_a_zones_shifts_are_found_to_the_second():
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)

    found = list(shifts("Europe/Berlin", start, end))

    assert [shift.start for shift in found] == [datetime(2026, 3, 29, 1), datetime(2026, 10, 25, 1)]  # noqa: DTZ001 - in UTC without
    assert [(shift.before, shift.offset) for shift in found] == [
        (60 * MINUTE, 120 * MINUTE),
        (120 * MINUTE, 60 * MINUTE),
    ]


def test_shifts_after_the_start_and_until_the_end_are_found():
    shift = datetime(2026, 3, 29, 1, tzinfo=UTC)

    assert len(list(shifts("Europe/Berlin", shift - MINUTE, shift))) == 1
    assert list(shifts("Europe/Berlin", shift, shift + DAY)) == []
    assert list(shifts("Europe/Berlin", shift - DAY, shift - MINUTE)) == []
    assert list(shifts("UTC", shift - DAY, shift + 400 * DAY)) == []
