import pytest

from bench.parts import by_bench, wanted
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


BENCHES = {"scheduler": ["takeover", "burst"], "sender": ["drain", "burst"], "api": ["lists"]}


@pytest.mark.parametrize(
    ("only", "run"),
    [
        ("", {"scheduler": "", "sender": "", "api": ""}),
        ("lists", {"api": "lists"}),
        ("drain,lists", {"sender": "drain", "api": "lists"}),
        ("burst,drain", {"scheduler": "burst", "sender": "burst,drain"}),
    ],
)
def test_of_several_benches_those_run_that_have_a_named_part(only: str, run: dict[str, str]) -> None:
    assert by_bench({"ONLY": only}, BENCHES) == run


def test_a_part_that_no_bench_has_is_told() -> None:
    with pytest.raises(StackError, match=r"ONLY names memory; there are takeover, burst, drain, burst, lists\."):
        by_bench({"ONLY": "memory,lists"}, BENCHES)
