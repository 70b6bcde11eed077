"""What is kept and told of a soak."""

from faults.matrix import results, soak_results
from faults.matrix.fault import Fault
from faults.matrix.run import Run
from faults.matrix.scene import Scene
from faults.matrix.soak_results import AGAIN, BEGIN, END, Kept, Soak
from faults.matrix.verdict import Counts, Verdict
from tocsin_local.report import Machine

MACHINE = Machine(
    cpus=2, memory_mib=2048, system="Linux 6", python="3.11.7", postgresql="15.1 x", rabbitmq="3.10.8"
)
COUNTS = Counts(owed=1100, posts=1103, extra_explained=2, extra_unexplained=0, missed=0, failed=0, lost=0, early=0)


async def nothing(scene: Scene) -> None:
    """What is done does not matter here."""


def kept(*problems: str) -> Kept:
    run = Run([4.0], Verdict(COUNTS, list(problems)), list(problems), remarks=[], ends=0)
    soak = Soak(
        seed=7,
        minutes=30,
        faults={"broker_restarted": 2, "sender_killed": 1},
        outcome=results.outcome(Fault("soak", "All", nothing, bound_s=120), run, 7),
        struck={"broker_restarted": 2, "sender_killed": 0},
        states={"succeeded": 1100},
        again={"retry": 1, "not recorded": 2},
        worst_recovery_s=31.25,
        worst_recovery_from="broker_restarted",
        worst_recovery_bound_s=300.0,
        overdue_s=12.5,
        leaders=3,
        problems=list(problems),
        changes=4,
        single=5,
    )
    return Kept(commit="abc", machine=MACHINE, soak=soak)


def test_what_is_kept_can_be_read_again():
    assert soak_results.decode(soak_results.encode(kept())) == kept()


def test_the_document_tells_seed_faults_figures_and_machine_between_its_markers():
    text = soak_results.in_document(f"before\n{BEGIN}\nold\n{END}\nafter\n", kept())

    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    for line in (
        "| 30 minutes, commit abc | |",
        "| seed | 7 |",
        "| faults, and how many struck | 3, 2: `broker_restarted` 2, `sender_killed` 1 (0) |",
        "| owed | 1,100 |",
        f"| POSTs again: {AGAIN['not recorded']} | 2 |",
        f"| POSTs again: {AGAIN['unexplained']} | 0 |",
        "| changes of tasks by users | 4 |",
        "| overdue, neither begun nor put off | 12.5 s at the most; bound ≤ 120 s |",
        "| until all was well after any fault, while others went on | 31.2 s at the most "
        "(`broker_restarted`); bound ≤ 300 s |",
        "| invariants broken | 0 |",
        "2 processors, 2 GiB, Linux, Python 3.11.7, PostgreSQL 15.1, RabbitMQ 3.10.8.",
    ):
        assert line in text


def test_what_is_broken_is_told():
    broken = kept("I3: early")

    assert not broken.soak.outcome.ok
    assert any("BROKEN I3: early" in line for line in soak_results.for_people(broken.soak))
    assert any("**broken** I3: early" in line for line in soak_results.markdown(broken))
