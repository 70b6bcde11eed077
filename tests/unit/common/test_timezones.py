"""Which names are time zones."""

from zoneinfo import available_timezones

import pytest

from tocsin_common.errors import InvalidTimezoneError, TocsinError
from tocsin_common.timezones import check_timezone


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST"])
def test_a_time_zone_is_accepted_as_it_is(name):
    assert check_timezone(name) == name


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Europe/Berln", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("Asia/Calcuta", "Asia/Calcutta"),
        (" UTC ", "UTC"),
    ],
)
def test_a_wrong_name_is_refused_with_near_ones(name, near):
    with pytest.raises(InvalidTimezoneError) as caught:
        check_timezone(name)

    refusal, _, names = str(caught.value).partition("; near are ")
    assert refusal == f"must be an IANA time zone such as Europe/Berlin, got {name!r}"
    assert near in names.split(", ")
    assert set(names.split(", ")) <= available_timezones()


@pytest.mark.parametrize("name", ["", "?", "+01:00", "../etc/hosts", "/etc/localtime", "localtime", "Factory"])
def test_what_is_no_zone_everywhere_is_refused(name):
    with pytest.raises(InvalidTimezoneError, match="must be an IANA time zone such as Europe/Berlin"):
        check_timezone(name)


@pytest.mark.parametrize("name", ["somebodys-secret", "x" * 100_000])
def test_a_long_name_is_refused_without_being_repeated(name):
    with pytest.raises(InvalidTimezoneError) as caught:
        check_timezone(name)

    assert str(caught.value) == "must be an IANA time zone such as Europe/Berlin, got a longer text"


def test_a_refusal_is_an_error_of_tocsin_and_a_value_error():
    assert issubclass(InvalidTimezoneError, TocsinError)
    assert issubclass(InvalidTimezoneError, ValueError)
