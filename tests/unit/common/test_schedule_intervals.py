"""How often a schedule comes, and the least that an operator allows."""

from datetime import UTC, datetime
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from random_schedules import random_expression, seeded
from tocsin_common.errors import InvalidScheduleError
from tocsin_common.schedule import instants, validate
from tocsin_common.schedule_intervals import check_interval, shortest_interval_s

DAY_S = 86400


@pytest.mark.parametrize(
    ("expression", "shortest_s"),
    [
        ("* * * * * *", 1),
        ("*/15 * * * * *", 15),
        ("50,5 * * * * *", 15),
        ("30 * * * * *", 60),
        ("* * * * *", 60),
        ("0,10,40 * * * *", 600),
        ("55,0 * * * *", 300),
        ("0 */6 * * *", 6 * 3600),
        ("0 9,17 * * *", 8 * 3600),
        ("0 23,1 * * *", 2 * 3600),
        ("0 23,1 * * 1", 22 * 3600),
        ("50 59 23 * * *", DAY_S),
        ("@hourly", 3600),
        ("@daily", DAY_S),
        ("@weekly", 7 * DAY_S),
        ("@monthly", 28 * DAY_S),
        ("0 0 1,31 * *", DAY_S),
        ("0 0 29,1 2,3 *", DAY_S),
        ("0 0 29 2 *", 4 * 366 * DAY_S - 3 * DAY_S),
        ("21 7 */5,3 */5,2 0#1", 28 * DAY_S),  # not within five years
    ],
)
def test_the_shortest_interval_of_a_schedule(expression, shortest_s):
    assert shortest_interval_s(expression) == shortest_s


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_no_two_instants_are_nearer_than_the_shortest_interval(seed):
    expression = random_expression(seeded(seed))
    try:
        validate(expression)
    except InvalidScheduleError:
        return
    shortest_s = shortest_interval_s(expression)

    found = list(islice(instants(expression, "UTC", start=datetime(2024, 2, 28, tzinfo=UTC)), 50))

    assert min((after - before).total_seconds() for before, after in pairwise(found)) >= shortest_s


def test_a_schedule_that_comes_more_often_than_allowed_is_refused():
    with pytest.raises(InvalidScheduleError) as caught:
        check_interval("*/15 * * * * *", at_least_s=60)

    assert str(caught.value) == "comes again after 15 s; at least 60 s must lie between its instants"


@pytest.mark.parametrize(("expression", "at_least_s"), [("* * * * *", 60), ("* * * * * *", 1), ("@reboot", 86400)])
def test_a_schedule_that_comes_as_often_as_allowed_is_accepted(expression, at_least_s):
    check_interval(expression, at_least_s=at_least_s)
