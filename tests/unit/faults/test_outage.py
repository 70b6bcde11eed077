"""The judge of the outages, on small ones that a person can count."""

from datetime import UTC, datetime, timedelta

import pytest

from faults.outage import Left, Missed, Outage, Rules, left, seconds

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
RULES = Rules(grace=timedelta(seconds=4), limit=2)


def at(*numbers: int) -> list[datetime]:
    return [NOON + timedelta(seconds=number) for number in numbers]


def missed(oldest: int, newest: int, count: int | None) -> Missed:
    return Missed(*at(oldest, newest), count)


OUTAGE = Outage(*at(0, 10))  # what is owed from second 7 on is recent, what is owed up to second 6 is old


@pytest.mark.parametrize(
    ("catch_up", "owed", "fired", "missed"),
    [
        ("latest", [2, 4, 6, 8], [8], {missed(2, 6, 3)}),
        ("latest", [2, 4, 6], [6], {missed(2, 4, 2)}),
        ("latest", [6], [6], set()),
        ("latest", [8], [8], set()),
        ("all", [2, 4, 6, 8], [4, 6, 8], {missed(2, 2, 1)}),
        ("all", [4, 6], [4, 6], set()),
        ("skip", [2, 4, 6, 8], [8], {missed(2, 6, 3)}),
        ("skip", [6], [], {missed(6, 6, 1)}),
        ("skip", [0, 12], [0, 12], set()),  # not owed during the outage
    ],
)
def test_each_policy_is_known(catch_up: str, owed: list[int], fired: list[int], missed: set[Missed]):
    assert left(at(*owed), catch_up, [OUTAGE], RULES) == Left(set(at(*fired)), missed)


def test_what_was_emitted_before_the_outage_is_neither_missed_nor_newest():
    found = left(at(1, 2, 3), "latest", [OUTAGE], RULES, emitted_before=at(3))

    assert found == Left(set(at(2, 3)), {missed(1, 1, 1)})


def test_each_outage_is_decided_on_by_itself():
    found = left(at(2, 4, 12, 14), "skip", [OUTAGE, Outage(*at(10, 20))], RULES)

    assert found == Left(set(), {missed(2, 4, 2), missed(12, 14, 2)})


@pytest.mark.parametrize(("owed", "count"), [(1000, 1000), (1001, None)])
def test_more_than_a_thousand_are_not_counted(owed: int, count: int | None):
    long = Outage(*at(0, 2000))

    assert left(at(*range(1, owed + 1)), "skip", [long], RULES).missed == {missed(1, owed, count)}


def test_seconds_are_whole_and_both_ends_count():
    half = timedelta(seconds=0.5)

    assert seconds(*at(0, 2)) == at(0, 1, 2)
    assert seconds(NOON - half, NOON + half) == at(0)
