"""How fast an address may post."""

import pytest

from tocsin_dispatcher.sender.budget import Rules, rate, window
from tocsin_dispatcher.sender.limits import Window

RULES = Rules(per_s=10, invalid_most=1000)


@pytest.mark.parametrize(
    ("invalid", "per_s"),
    [
        pytest.param(0, 10, id="nothing is spent"),
        pytest.param(499, 10, id="less than half"),
        pytest.param(500, 500 / 600, id="half: the rest lasts for the ten minutes"),
        pytest.param(900, 100 / 600, id="nearly all"),
        pytest.param(1000, 0.01, id="all"),
        pytest.param(5000, 0.01, id="more than all"),
    ],
)
def test_from_half_of_the_budget_on_the_rest_must_last(invalid: int, per_s: float):
    assert rate(invalid, RULES) == pytest.approx(per_s)


@pytest.mark.parametrize(
    ("per_s", "expected"),
    [
        (50.0, Window(25, 0.5)),
        (3.0, Window(1, 1 / 3)),
        (8.4, Window(4, 4 / 8.4)),
        (0.01, Window(1, 100.0)),
    ],
)
def test_a_window_is_half_a_second_or_as_long_as_one_post_takes_its_share(per_s: float, expected: Window):
    assert window(per_s) == pytest.approx(expected)
