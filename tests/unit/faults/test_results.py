"""From runs to the report's rows, and from kept rows to the document's table."""

from collections.abc import Sequence

import pytest

from faults.matrix import results, table
from faults.matrix.fault import Fault
from faults.matrix.results import Kept
from faults.matrix.run import Run
from faults.matrix.scene import Scene
from faults.matrix.verdict import Counts
from tocsin_local.report import Machine

COUNTS = Counts(100, 101, 1, 0, 0, 0, 0, 0)
MACHINE = Machine(
    cpus=2, memory_mib=2048, system="Linux 6", python="3.11.7", postgresql="15.1 x", rabbitmq="3.10.8"
)


async def nothing(scene: Scene) -> None:
    """What is done does not matter here."""


FAULTS = [Fault(name, f"What {name} is", nothing, bound_s=30) for name in ("first", "second")]


def run(*recoveries_s: float, problems: Sequence[str] = ()) -> Run:
    return Run(list(recoveries_s), COUNTS, list(problems), remarks=[], ends=0)


def kept(name: str, *, commit: str = "abc", recovery_s: float = 5) -> Kept:
    fault = next(each for each in FAULTS if each.name == name)
    return Kept(commit=commit, machine=MACHINE, outcome=results.outcome(fault, run(recovery_s)))


def test_the_value_is_the_median_of_all_times():
    found = results.outcome(FAULTS[0], run(4, 8, 5))

    assert (found.value, found.min, found.max, found.runs, found.bound) == (5, 4, 8, 3, "<= 30")
    assert (found.owed, found.posts, found.extra_explained) == (100, 101, 1)
    assert found.ok


@pytest.mark.parametrize("found", [run(5, 31), run(5, problems=["I3: early"])])
def test_one_time_beyond_the_bound_and_one_broken_invariant_are_enough(found: Run):
    assert not results.outcome(FAULTS[0], found).ok


def test_what_is_kept_can_be_read_again():
    before = [kept("first"), kept("second")]

    assert results.decode(results.encode(before)) == before


def test_a_new_result_takes_the_place_of_the_old_one_and_leaves_the_others():
    before = [kept("second", commit="old"), kept("first", commit="old")]

    found = results.merged(before, [kept("second", commit="new")], ["first", "second"])

    assert [(each.outcome.name, each.commit) for each in found] == [("first", "old"), ("second", "new")]


def test_the_result_of_a_fault_that_is_gone_goes():
    assert results.merged([kept("first")], [], ["second"]) == []


def test_the_table_stands_between_its_markers_and_nothing_else_changes():
    document = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"

    once = table.in_document(document, [kept("first", recovery_s=7.25)], FAULTS)
    twice = table.in_document(once, [kept("first", recovery_s=7.25)], FAULTS)

    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "| What first is | 7.2 s (once) | ≤ 30 s | 100 | 101 | 1 | 0 | 0 |" in once
    assert "old" not in once
    assert twice == once


def test_a_document_without_markers_is_left_alone():
    with pytest.raises(ValueError, match="markers"):
        table.in_document("a document", [], FAULTS)


def test_people_see_what_is_broken():
    lines = table.for_people([results.outcome(FAULTS[0], run(5, problems=["I3: early"]))])

    assert "BROKEN" in lines[1]
