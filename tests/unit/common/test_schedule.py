"""What a schedule means: what is accepted, what is refused and why, and when it comes."""

from datetime import UTC, datetime, timedelta
from itertools import dropwhile, islice, pairwise

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from random_schedules import random_expression, seeded
from tocsin_common.errors import InvalidScheduleError, TocsinError
from tocsin_common.schedule import (
    ALIASES,
    MAX_LENGTH,
    REBOOT,
    instants,
    instants_before,
    is_fixed,
    local_times,
    normal,
    validate,
)

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday
MICROSECOND = timedelta(microseconds=1)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")


def first(count: int, expression: str, start: datetime = NEW_YEAR, timezone: str = "UTC") -> list[datetime]:
    return list(islice(instants(expression, timezone, start=start), count))


seeds = st.integers(0, 2**32)
starts = st.datetimes(datetime(2024, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - without


@pytest.mark.parametrize(
    "expression",
    [
        "* * * * *",
        "* * * * * *",
        "0 9 * * 1-5",
        "*/5 * * * *",
        "*/60 * * * *",
        "5/10 * * * *",
        "0-59/15,7 * * * *",
        "10-20/3 8-18 1,15 1-6 *",
        "0 0 01 * *",
        "0 0 L * *",
        "0 0 l,15 * *",
        "0 0 * JAN,feb-APR MON",
        "0 0 * * sun-sat",
        "0 0 * * 7",
        "0 0 * * 5-7",
        "0 0 * * 1#2",
        "0 0 * * MON#1,fri#5",
        "0 0 */7 * tue#5",
        "0 0 *,15 * 1",
        "0 0 29 2 *",
        "0 0 30 2 1",  # the 30th never comes in February, Mondays do
        "\t0  0 * * *\n",
        *(alias for alias in ALIASES if alias != REBOOT),
        "@Daily",
    ],
)
def test_a_schedule_that_cron_knows_is_accepted(expression):
    validate(expression)

    assert len(first(3, expression)) == 3


@pytest.mark.parametrize(
    ("expression", "field", "value", "allowed"),
    [
        ("60 * * * * *", "second", "60", "0 to 59"),
        ("60 * * * *", "minute", "60", "0 to 59"),
        ("-1 * * * *", "minute", "-1", "0 to 59"),
        ("+5 * * * *", "minute", "+5", "0 to 59"),
        ("1.5 * * * *", "minute", "1.5", "0 to 59"),
        ("0x1 * * * *", "minute", "0x1", "0 to 59"),
        ("1_0 * * * *", "minute", "1_0", "0 to 59"),
        ("007 * * * *", "minute", "007", "0 to 59"),
        (f"{'9' * 15} * * * *", "minute", "9" * 15, "0 to 59"),
        (", * * * *", "minute", "", "0 to 59"),
        ("1,,2 * * * *", "minute", "", "0 to 59"),
        ("mon * * * *", "minute", "mon", "0 to 59"),
        ("* 24 * * *", "hour", "24", "0 to 23"),
        ("* L * * *", "hour", "l", "0 to 23"),
        ("* * 0 * *", "day of month", "0", "1 to 31, L for the last day"),
        ("* * 32 * *", "day of month", "32", "1 to 31"),
        ("* * 15W * *", "day of month", "15w", "1 to 31"),
        ("* * LW * *", "day of month", "lw", "1 to 31"),
        ("* * ? * *", "day of month", "?", "1 to 31"),
        ("* * * 0 *", "month", "0", "1 to 12 or jan/feb/"),
        ("* * * 13 *", "month", "13", "1 to 12 or jan/feb/"),
        ("* * * january *", "month", "january", "1 to 12 or jan/feb/"),
        ("* * * * 8", "day of week", "8", "0 to 7 or sun/mon/"),
        ("* * * * jan", "day of week", "jan", "0 to 7 or sun/mon/"),
        ("* * * * L5", "day of week", "l5", "0 to 7 or sun/mon/"),
        ("* * * * 5L", "day of week", "5l", "0 to 7 or sun/mon/"),
        ("* * * * 1#0", "day of week", "1#0", "0 to 7 or sun/mon/"),
        ("* * * * 1#6", "day of week", "1#6", "0 to 7 or sun/mon/tue/wed/thu/fri/sat, day#1 to day#5"),
        ("* * * * 8#1", "day of week", "8", "0 to 7 or sun/mon/"),
        ("* * * * #1", "day of week", "#1", "0 to 7 or sun/mon/"),
        ("1#1 * * * *", "minute", "1#1", "0 to 59"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field_and_what_is_allowed(expression, field, value, allowed):
    with pytest.raises(InvalidScheduleError) as caught:
        validate(expression)

    assert f"the {field} field does not allow {value!r}; allowed are {allowed}" in str(caught.value)
    assert str(caught.value).endswith("*, lists, ranges a-b and steps */n")


@pytest.mark.parametrize(
    ("expression", "field", "value", "reason"),
    [
        ("5-5 * * * *", "minute", "5-5", "a range must rise"),  # croniter: every minute
        ("* 22-6 * * *", "hour", "22-6", "a range must rise"),
        ("* * * nov-feb *", "month", "nov-feb", "a range must rise"),
        ("* * * * fri-mon", "day of week", "fri-mon", "a range must rise"),
        ("*/0 * * * *", "minute", "*/0", "a step here is 1 to 60"),
        ("*/90 * * * *", "minute", "*/90", "a step here is 1 to 60"),  # croniter: hourly
        ("* */25 * * *", "hour", "*/25", "a step here is 1 to 24"),
        ("* * */32 * *", "day of month", "*/32", "a step here is 1 to 31"),
        ("10-20/12 * * * *", "minute", "10-20/12", "a step here is 1 to 11"),
        ("59/2 * * * *", "minute", "59/2", "a step here is 1 to 1"),
        ("* * * * 7/1", "day of week", "7/1", "a step needs a range, such as 1-5/2"),  # croniter: every day
        ("* * * * */8", "day of week", "*/8", "a step here is 1 to 7"),
        ("* * * * 0-7/8", "day of week", "0-7/8", "a step here is 1 to 7"),
        ("* * * * 1/2", "day of week", "1/2", "a step needs a range, such as 1-5/2"),
        ("0 0 L,* * 1", "day of month", "l,*", "in a list * comes first"),
        ("0 0 13 * 5,*/2", "day of week", "5,*/2", "in a list * comes first"),
        ("0 0 * * 1#1,2", "day of week", "1#1,2", "days with # do not mix with others"),
        ("0 0 * * *,1#1", "day of week", "*,1#1", "days with # do not mix with others"),
        ("0 0 1 * 1#2", "day of week", "1#2", "a day with # needs a day of month that begins with *"),
    ],
)
def test_what_croniter_takes_in_another_sense_than_cron_is_refused_with_the_reason(
    expression, field, value, reason
):
    with pytest.raises(InvalidScheduleError) as caught:
        validate(expression)

    assert f"the {field} field does not allow {value!r}: {reason}; allowed are " in str(caught.value)


@pytest.mark.parametrize(
    "word", ["R", "r", "H", "h", "R(0-9)", "H(0-9)", "H/5", "R/5", "*/5/5", "*-5", "5-", "-", "/5"]
)
def test_random_hashed_and_broken_values_are_refused_in_every_field(word):
    for position in range(6):
        fields = ["*"] * 6
        fields[position] = word

        with pytest.raises(InvalidScheduleError, match="field does not allow"):
            validate(" ".join(fields))


@pytest.mark.parametrize("number_of_fields", [0, 1, 4, 7, 8])
def test_another_number_of_fields_is_refused(number_of_fields):
    with pytest.raises(InvalidScheduleError) as caught:
        validate(" ".join(["*"] * number_of_fields))

    assert str(caught.value) == f"has {number_of_fields} fields; allowed are 5, or 6 with seconds first"


@pytest.mark.parametrize("alias", ["@", "@rebooted", "@every 5m", "@daily ", "@secondly"])
def test_an_unknown_alias_is_refused_with_those_that_are_known(alias):
    with pytest.raises(InvalidScheduleError) as caught:
        validate(alias)

    assert str(caught.value) == (
        f"{alias!r} is no known alias; "
        "allowed are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, @reboot"
    )


def test_an_expression_that_is_too_long_is_refused_before_it_is_read():
    with pytest.raises(InvalidScheduleError) as caught:
        validate("1," * 1_000_000)

    assert str(caught.value) == "has 2000000 characters, at most 128 are allowed"


def test_the_longest_expression_that_is_allowed_is_read():
    expression = ",".join(["0"] * 60) + " * * * *"

    validate(expression + " " * (MAX_LENGTH - len(expression)))


SECRET = "somebodys-secret"  # noqa: S105 - nobody's


@pytest.mark.parametrize(
    "expression", [f"@{SECRET}", f"0 9 * * {SECRET}", f"{SECRET},1 * * * *", f"{'9' * 100} * * * *"]
)
def test_a_long_value_is_refused_without_being_repeated(expression):
    with pytest.raises(InvalidScheduleError, match="a longer text") as caught:
        validate(expression)

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("expression", ["\u0663 * * * *", "\uff15 * * * *", "* * * * m\u043en", "*\u00a0* * * *"])
def test_what_is_not_ascii_is_refused(expression):
    with pytest.raises(InvalidScheduleError, match=r"^holds .+, only ASCII characters are allowed$"):
        validate(expression)


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("0 0 30 2 *", "day of month '30' with month '2'"),
        ("0 0 31 2,4,6,9,11 *", "day of month '31' with month '2,4,6,9,11'"),
        ("5 0 0 30,31 FEB *", "day of month '30,31' with month 'feb'"),
        ("0 0 */31 * 1#2", "day of month '*/31' with month '*' and day of week '1#2'"),
        ("0 0 */29 2 0#3", "day of month '*/29' with month '2' and day of week '0#3'"),
        ("0 0 30,31,30,31,30 2 *", "day of month '30,31,30,31,30' with month '2'"),
        ("0 0 30,31,30,31,30,31 2 *", "day of month a longer text with month '2'"),
    ],
)
def test_a_date_that_never_comes_is_refused_each_time(expression, named):
    for _ in range(2):
        with pytest.raises(InvalidScheduleError) as caught:
            validate(expression)

        assert str(caught.value) == (
            f"{named} never comes; allowed are days that a month has: "
            "February up to 29; April, June, September and November up to 30"
        )


@pytest.mark.parametrize("alias", ["@reboot", "@Reboot", "@REBOOT"])
def test_reboot_is_a_schedule_without_instants(alias):
    validate(alias)

    assert first(1, alias) == []
    assert list(instants_before(alias, "UTC", end=NEW_YEAR)) == []


@pytest.mark.parametrize(
    ("expression", "spelling"),
    [
        ("\t0  9 * * Mon\n", "0 9 * * Mon"),
        (" @Daily", "@daily"),
        ("@REBOOT ", "@reboot"),
    ],
)
def test_an_expression_has_one_spelling(expression, spelling):
    assert normal(expression) == spelling


@pytest.mark.parametrize(
    ("expression", "fixed"),
    [
        ("30 2 * * *", True),
        ("0 30 2 * * *", True),
        ("* 30 2 * * *", True),
        ("0-59 0-23 * * *", True),
        ("@daily", True),
        ("*/5 2 * * *", False),
        ("0 */2 * * *", False),
        ("0 0 * * * *", False),
        ("@hourly", False),
    ],
)
def test_a_schedule_is_fixed_unless_its_minute_or_hour_begins_with_a_star(expression, fixed):
    assert is_fixed(expression) is fixed


def test_a_refusal_is_an_error_of_tocsin_and_a_value_error():
    assert issubclass(InvalidScheduleError, TocsinError)
    assert issubclass(InvalidScheduleError, ValueError)


@settings(deadline=None)
@given(
    st.text(max_size=MAX_LENGTH + 2)
    | st.lists(st.text("0123456789*/-,#@LlWwRrHh?() \t\x1fmonjan", max_size=8), max_size=7).map(" ".join)
)
def test_whatever_is_written_is_accepted_or_refused_and_nothing_else(text):
    try:
        validate(text)
    except InvalidScheduleError as error:
        assert str(error)  # noqa: PT017 - either way is right
    else:
        assert text.lower() == REBOOT or len(first(2, text)) == 2


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", ["01-01 00:00:00", "01-01 00:01:00", "01-01 00:02:00"]),
        ("* * * * * *", ["01-01 00:00:00", "01-01 00:00:01", "01-01 00:00:02"]),
        ("30 15 10 * * *", ["01-01 10:15:30", "01-02 10:15:30", "01-03 10:15:30"]),
        ("5/20 * * * *", ["01-01 00:05:00", "01-01 00:25:00", "01-01 00:45:00"]),
        ("0 0 L * *", ["01-31 00:00:00", "02-28 00:00:00", "03-31 00:00:00"]),
        ("0 0 * * 7", ["01-04 00:00:00", "01-11 00:00:00", "01-18 00:00:00"]),
        ("0 0 * * SUN", ["01-04 00:00:00", "01-11 00:00:00", "01-18 00:00:00"]),
        ("0 0 * * 1#2", ["01-12 00:00:00", "02-09 00:00:00", "03-09 00:00:00"]),
        ("0 0 3 * 5", ["01-02 00:00:00", "01-03 00:00:00", "01-09 00:00:00"]),  # the 3rd or a Friday
        ("0 0 */2 * 5", ["01-09 00:00:00", "01-23 00:00:00", "02-13 00:00:00"]),  # odd and a Friday: Vixie's rule
        ("@hourly", ["01-01 00:00:00", "01-01 01:00:00", "01-01 02:00:00"]),
        ("@midnight", ["01-01 00:00:00", "01-02 00:00:00", "01-03 00:00:00"]),
        ("@WEEKLY", ["01-04 00:00:00", "01-11 00:00:00", "01-18 00:00:00"]),
        ("@monthly", ["01-01 00:00:00", "02-01 00:00:00", "03-01 00:00:00"]),
    ],
)
def test_the_instants_of_a_schedule(expression, expected):
    found = first(3, expression)

    assert [instant.strftime("%m-%d %H:%M:%S") for instant in found] == expected


def test_a_leap_day_comes_in_leap_years_only():
    assert [instant.year for instant in first(3, "0 0 29 2 *")] == [2028, 2032, 2036]


def test_a_leap_day_is_found_over_the_century_that_has_none():
    assert first(1, "0 0 29 2 *", datetime(2096, 3, 1, tzinfo=UTC))[0].year == 2104


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (-MICROSECOND, NEW_YEAR),
        (timedelta(0), NEW_YEAR),
        (MICROSECOND, NEW_YEAR + timedelta(seconds=5)),
        (timedelta(seconds=4, microseconds=999_999), NEW_YEAR + timedelta(seconds=5)),
        (timedelta(seconds=5), NEW_YEAR + timedelta(seconds=5)),
        (timedelta(seconds=5, microseconds=500_000), NEW_YEAR + timedelta(seconds=10)),
    ],
)
def test_the_first_instant_is_the_start_itself_or_the_next_after_it(offset, expected):
    assert first(1, "*/5 * * * * *", NEW_YEAR + offset) == [expected]


def test_a_start_in_another_zone_is_the_same_moment():
    start = datetime.fromisoformat("2026-01-01T05:30:00+05:30")

    assert first(1, "0 * * * *", start) == [NEW_YEAR]


def test_a_schedule_is_read_on_the_clock_of_its_zone():
    winter, summer = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)

    assert first(1, "0 9 * * *", winter, "Europe/Berlin") == [winter.replace(hour=8)]
    assert first(1, "0 9 * * *", summer, "Europe/Berlin") == [summer.replace(hour=7)]


@settings(max_examples=50, deadline=None)
@given(seeds, starts, st.sampled_from(ZONES))
def test_instants_rise_from_the_start_on_in_whole_seconds_of_utc(seed, start, timezone):
    expression = accepted(random_expression(seeded(seed)))

    found = first(20, expression, start, timezone)

    assert found[0] >= start
    assert all(earlier < later for earlier, later in pairwise(found))
    assert all(instant.microsecond == 0 and instant.tzinfo is UTC for instant in found)


@settings(max_examples=50, deadline=None)
@given(seeds, starts, st.integers(0, 14), st.integers(-1, 1), st.sampled_from(ZONES))
def test_whoever_starts_later_sees_the_same_instants(seed, start, skipped, microseconds, timezone):
    expression = accepted(random_expression(seeded(seed)))
    seen = first(20, expression, start, timezone)
    later = max(start, seen[skipped] + microseconds * MICROSECOND)

    found = first(5, expression, later, timezone)

    assert found == list(islice(dropwhile(lambda instant: instant < later, seen), 5))


@settings(max_examples=60)
@given(seeds, starts, st.sampled_from(ZONES))
def test_backwards_the_same_instants_come(seed, start, timezone):
    expression = accepted(random_expression(seeded(seed)))
    seen = first(20, expression, start, timezone)

    found = list(islice(instants_before(expression, timezone, end=seen[-1]), 20))

    assert found == seen[::-1]


def test_the_last_instant_is_the_end_itself_or_the_one_before_it():
    def last(end: datetime) -> datetime:
        return next(instants_before("*/5 * * * * *", "UTC", end=end))

    assert last(NEW_YEAR) == NEW_YEAR
    assert last(NEW_YEAR + MICROSECOND) == NEW_YEAR
    assert last(NEW_YEAR - MICROSECOND) == NEW_YEAR - timedelta(seconds=5)


def test_local_times_know_no_zone():
    start = datetime(2026, 3, 29, 1, 45)  # noqa: DTZ001 - what a clock shows

    found = list(islice(local_times("*/30 2 * * *", start=start), 3))

    assert [str(time) for time in found] == ["2026-03-29 02:00:00", "2026-03-29 02:30:00", "2026-03-30 02:00:00"]


@pytest.mark.parametrize("year", [1, 9999])
def test_at_the_ends_of_the_calendar_nothing_comes(year):
    edge = datetime(year, 6, 1, tzinfo=UTC)

    assert list(islice(instants("@daily", "UTC", start=edge), 1)) == []
    assert list(islice(instants_before("@daily", "UTC", end=edge), 1)) == []


def accepted(expression: str) -> str:
    try:
        validate(expression)
    except InvalidScheduleError:
        reject()  # a date that never comes
    return expression
