import pytest

from bench.parts import wanted
from tocsin_local.errors import StackError

QUICK, SLOW = {"takeover": 1, "burst": 2}, {"million": 3}


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({}, ["takeover", "burst"]),
        ({"SLOW": "1"}, ["takeover", "burst", "million"]),
        ({"SLOW": "0"}, ["takeover", "burst"]),
        ({"ONLY": ""}, ["takeover", "burst"]),
        ({"ONLY": "burst"}, ["burst"]),
        ({"ONLY": "million,takeover"}, ["million", "takeover"]),
        ({"ONLY": "burst", "SLOW": "1"}, ["burst"]),
    ],
)
def test_what_is_measured_is_what_was_asked_for(env: dict[str, str], names: list[str]) -> None:
    assert wanted(env, QUICK, SLOW) == names


def test_a_part_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(StackError, match=r"ONLY names billion, bursts; there are takeover, burst, million\."):
        wanted({"ONLY": "bursts,million,billion"}, QUICK, SLOW)
