"""From runs to the report's rows, and from kept rows to the document's table."""

from collections.abc import Sequence

import pytest

from faults.matrix import results, table
from faults.matrix.fault import Fault
from faults.matrix.results import Kept
from faults.matrix.run import Run
from faults.matrix.scene import Scene
from faults.matrix.verdict import Counts, Verdict
from tocsin_local.report import Machine

COUNTS = Counts(1100, 1105, 1, 0, 0, 2, 0, 0)
MACHINE = Machine(
    cpus=2, memory_mib=2048, system="Linux 6", python="3.11.7", postgresql="15.1 x", rabbitmq="3.10.8"
)


async def nothing(scene: Scene) -> None:
    """What is done does not matter here."""


FAULTS = [
    Fault("first", "What first is", nothing, bound_s=30, settings={"JOBS_PER_MESSAGE": "1"}),
    Fault("second", "What second is", nothing, bound_s=30),
]


VERDICT = Verdict(
    COUNTS,
    [],
    again={"retry": 4, "not received": 1},
    states={"failed": 2, "succeeded": 1098},
    latest_s=12.25,
)


SEED = 7
ENDED = "2 times a process ended by itself and was started again"


def run(*recoveries_s: float, problems: Sequence[str] = (), remarks: Sequence[str] = (), ends: int = 0) -> Run:
    return Run(list(recoveries_s), VERDICT, list(problems), list(remarks), ends)


def kept(
    name: str, *, commit: str = "abc", recovery_s: float = 5, remarks: Sequence[str] = (), ends: int = 0
) -> Kept:
    fault = next(each for each in FAULTS if each.name == name)
    return Kept(
        commit=commit,
        machine=MACHINE,
        outcome=results.outcome(fault, run(recovery_s, remarks=remarks, ends=ends), SEED),
    )


def test_the_value_is_the_median_of_all_times():
    found = results.outcome(FAULTS[0], run(4, 8, 5), SEED)

    assert (found.value, found.min, found.max, found.runs, found.bound) == (5, 4, 8, 3, "<= 30")
    assert (found.owed, found.posts, found.extra_explained) == (1100, 1105, 1)
    assert found.ok


@pytest.mark.parametrize("found", [run(5, 31), run(5, problems=["I3: early"])])
def test_one_time_beyond_the_bound_and_one_broken_invariant_are_enough(found: Run):
    assert not results.outcome(FAULTS[0], found, SEED).ok


def test_invariants_that_were_broken_are_counted_apart_from_what_else_is_wrong():
    problems = ["I1: lost", "I3: early", "fault: 0 of 5 kills came in time", "late: a POST was", "stop: status 1"]

    found = results.outcome(FAULTS[0], run(5, problems=problems), SEED)

    assert (found.problems, found.amiss) == (2, 3)
    assert not found.ok


def test_a_result_says_what_was_set_and_what_was_noticed():
    found = kept("first", remarks=["7 of 10 kills came in time"]).outcome

    assert found.settings == {"JOBS_PER_MESSAGE": "1"}
    assert found.remarks == ["7 of 10 kills came in time"]
    assert (found.again, found.states, found.latest_s) == (VERDICT.again, VERDICT.states, 12.25)


def test_what_is_kept_can_be_read_again():
    before = [kept("first", remarks=["a remark"]), kept("second")]

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
    assert (
        "| `first` | What first is | `JOBS_PER_MESSAGE=1` | 7.2 s | ≤ 30 s | 12.2 s | 1,100 "
        "| succeeded 1,098, failed 2 | 0 | 1,105 | 4 | 1 | 0 | 0 | abc |"
    ) in once
    assert "old" not in once
    assert twice == once


def test_what_was_noticed_stands_under_the_table():
    lines = table.markdown([kept("first", remarks=["7 of 10 kills came in time"], ends=2), kept("second")], FAULTS)

    assert f"- `first`: 7 of 10 kills came in time; {ENDED}; `SEED=7`." in lines
    assert "- `second`: `SEED=7`." in lines


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (run(5, problems=["I3: early", "stop: status 1"]), "| **1**, **and 1 other things amiss** | abc |"),
        (run(31), "| 0, **too slow** | abc |"),
    ],
)
def test_the_table_shows_what_is_broken(found: Run, words: str):
    broken = Kept(commit="abc", machine=MACHINE, outcome=results.outcome(FAULTS[0], found, SEED))

    assert any(words in line for line in table.markdown([broken], FAULTS))


def test_a_document_without_markers_is_left_alone():
    with pytest.raises(ValueError, match="markers"):
        table.in_document("a document", [], FAULTS)


def test_people_see_what_is_broken():
    lines = table.for_people([results.outcome(FAULTS[0], run(5, problems=["I3: early"]), SEED)])

    assert "BROKEN" in lines[1]
