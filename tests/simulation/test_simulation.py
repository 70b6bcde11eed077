"""A thousand worlds, each with the real scheduler and its own faults: every owed instant has its one row."""

import pytest

from simulation.run import simulate

SEEDS = 1000
CHUNK = 25


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whatever_goes_wrong_every_owed_instant_has_its_one_row(first: int):
    reports = [simulate(seed) for seed in range(first, first + CHUNK)]

    problems = [f"make simulate SEED={report.seed}: {report.problems[0]}" for report in reports if report.problems]
    assert not problems, "\n".join(problems)
    assert any(report.announced for report in reports)


def test_a_seed_gives_the_same_world_again():
    once, again = (simulate(4711, is_traced=True) for _ in range(2))

    assert once.trace == again.trace
    assert len(once.trace) > 100
