"""A second opinion on when schedules come, in a few cases; the integration tests have more than 20,000."""

from cronsim_agreement import agreed
from random_schedules import zones_with_shifts


def test_cronsim_finds_the_same_instants_but_for_what_is_explained():
    assert agreed(range(250)) > 200


def test_the_zones_that_are_compared_are_those_whose_clocks_are_shifted():
    zones = set(zones_with_shifts())

    assert {"Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca"} <= zones
    assert not {"UTC", "Asia/Tokyo", "Asia/Kolkata"} & zones
    assert len(zones) > 300
