"""What a schedule comes to, and what is said about shifts of clocks."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from random_schedules import nightly_expression, random_start, seeded, zones_with_shifts
from tocsin_api.preview import NextInstant, preview

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def shown(instant: NextInstant) -> tuple[str, str, str | None]:
    return f"{instant.utc:%m-%d %H:%M}", f"{instant.local:%m-%d %H:%M%z}", instant.remark


def test_the_next_instants_are_shown_in_utc_and_on_the_zones_clock():
    found = preview("0 9 * * *", "America/New_York", now=NEW_YEAR, count=2)

    assert (found.schedule, found.timezone, found.words) == ("0 9 * * *", "America/New_York", "At 09:00")
    assert found.remark is None
    assert [shown(instant) for instant in found.instants] == [
        ("01-01 14:00", "01-01 09:00-0500", None),
        ("01-02 14:00", "01-02 09:00-0500", None),
    ]


def test_an_instant_that_is_due_now_is_shown():
    assert preview("0 0 * * *", "UTC", now=NEW_YEAR, count=1).instants[0].utc == NEW_YEAR


@pytest.mark.parametrize(
    ("expression", "timezone", "now", "expected"),
    [
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-29",
            (
                "03-29 01:00",
                "03-29 03:00+0200",
                "the clock skips 2026-03-29 02:00 to 03:00; what is due then comes right after",
            ),
        ),
        (
            "*/30 2 * * *",
            "Europe/Berlin",
            "2026-03-29",
            (
                "03-30 00:00",
                "03-30 02:00+0200",
                "the clock skips 2026-03-29 02:00 to 03:00; what is due then is left out",
            ),
        ),
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-25",
            ("10-25 00:30", "10-25 02:30+0200", "the clock shows this time twice; it comes the first time only"),
        ),
        (
            "0 9 * * *",
            "Pacific/Apia",
            "2011-12-30",
            (
                "12-30 10:00",
                "12-31 00:00+1400",
                "the clock skips 2011-12-30 00:00 to 2011-12-31 00:00; what is due then comes right after",
            ),
        ),
        (
            "15 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04 12:00",
            ("04-04 14:15", "04-05 01:15+1100", None),
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04 12:00",
            ("04-04 14:45", "04-05 01:45+1100", "the clock shows this time twice; it comes the first time only"),
        ),
        ("0 3 * * *", "Europe/Berlin", "2026-03-29", ("03-29 01:00", "03-29 03:00+0200", None)),
        ("0 * * * *", "Europe/Berlin", "2026-10-25 00:30", ("10-25 01:00", "10-25 02:00+0100", None)),
        ("0 1 * * *", "Europe/Berlin", "2026-10-24 22:30", ("10-24 23:00", "10-25 01:00+0200", None)),
    ],
)
def test_a_remark_says_what_a_shift_of_the_clock_does(expression, timezone, now, expected):
    start = datetime.fromisoformat(now).replace(tzinfo=UTC)

    assert shown(preview(expression, timezone, now=start, count=1).instants[0]) == expected


def test_a_remark_comes_with_the_instant_after_what_was_left_out_and_no_other():
    start = datetime(2026, 3, 28, tzinfo=UTC)

    found = preview("*/30 2 * * *", "Europe/Berlin", now=start, count=4).instants

    assert [instant.remark is not None for instant in found] == [False, False, True, False]


def test_reboot_has_words_and_a_remark_and_no_instants():
    found = preview("@reboot", "UTC", now=NEW_YEAR, count=5)

    assert found.words == "Once, whenever scheduling starts after a time without any scheduler"
    assert found.remark == "it comes whenever scheduling starts anew, not at instants that are known before"
    assert found.instants == []


def test_what_is_too_far_away_is_not_looked_for():
    found = preview("0 0 29 2 *", "Africa/Casablanca", now=NEW_YEAR, count=100)

    assert [instant.utc.year for instant in found.instants] == [2028, 2032, 2036, 2040, 2044, 2048, 2052]
    assert found.remark == "no more come within 30 years"


def test_times_that_the_clock_always_skips_do_not_come():
    found = preview("*/5 2 25-31 3 */7", "Europe/Berlin", now=NEW_YEAR, count=5)

    assert found.instants == []
    assert found.remark == "none comes within 30 years"


@settings(max_examples=40)
@given(st.integers(0, 2**32))
@example(1113)
def test_local_times_are_those_of_the_instants(seed):
    random = seeded(seed)
    timezone = random.choice(zones_with_shifts())
    start = random_start(random, timezone)

    found = preview(nightly_expression(random), timezone, now=start, count=5).instants

    # In UTC: a repeated local time equals nothing of another zone, says Python.
    assert all(instant.local.astimezone(UTC) == instant.utc >= start for instant in found)
    assert all(instant.utc.utcoffset() == timedelta(0) for instant in found)
