import pytest

from bench.figures import Bound, at_least, at_most, row, table


@pytest.mark.parametrize(
    ("bound", "value", "holds"),
    [
        (at_most(0.5), 0.5, True),
        (at_most(0.5), 0.501, False),
        (at_least(40_000), 40_000, True),
        (at_least(40_000), 39_999, False),
    ],
)
def test_a_bound_holds_at_its_limit_and_not_beyond(bound: Bound, value: float, holds: bool) -> None:
    assert bound.holds(value) is holds


def test_the_median_of_the_runs_is_what_counts() -> None:
    found = row("ready", [9.0, 30.0, 11.25049], "s", at_most(12))

    assert (found.value, found.ok, found.bound) == (11.25, True, "<= 12")
    assert (found.runs, found.min, found.max) == (3, 9.0, 30.0)


def test_where_one_run_is_too_many_the_worst_of_them_counts() -> None:
    found = row("lost", [0, 1, 0], "jobs", at_most(0), of=max)

    assert (found.value, found.ok, found.min) == (1, False, 0)


def test_a_value_that_is_rounded_up_to_its_bound_does_not_become_better() -> None:
    found = row("takeover", [0.50004], "s", at_most(0.5))

    assert (found.value, found.ok) == (0.5, False)


def test_a_figure_without_a_bound_is_only_told() -> None:
    found = row("peak", [700.0], "MB")

    assert (found.bound, found.ok) == ("reported", True)


def test_the_table_says_which_figures_miss_their_bound() -> None:
    rows = [
        row("ready", [20.0], "s", at_most(12)),
        row("memory", [400.0], "MB", at_most(500)),
        row("peak", [700.0], "MB"),
    ]

    heading, missed, kept, told = table(rows)

    assert "median" in heading
    assert "<= 12" in missed
    assert " NO " in missed
    assert "<= 500" in kept
    assert " ok " in kept
    assert not {"ok", "NO"} & set(told.split())
