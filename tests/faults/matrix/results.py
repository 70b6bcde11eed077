"""PURE. From runs to a report's rows, and the file that keeps the newest row of each fault."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from bench.figures import DIGITS, at_most, row
from faults.matrix.fault import Fault
from tocsin_local.report import Machine, Row

if TYPE_CHECKING:
    from faults.matrix.run import Run


INVARIANTS = ("I1:", "I2:", "I3:", "I4:", "I5:")


class Outcome(Row, frozen=True, kw_only=True, omit_defaults=True):
    """A row of the report: seconds to recover. Counts are of all times together; see `verdict.Counts`."""

    owed: int
    posts: int
    extra_explained: int
    extra_unexplained: int
    missed: int
    failed: int
    lost: int
    early: int
    ends: int
    """Processes that ended although nobody told them to."""
    problems: int
    """Invariants that were broken, each time."""
    amiss: int = 0
    """Wrong, too: a fault did not meet its moment, others were late, a process did not stop by the book."""
    again: Mapping[str, int]
    """POSTs that were not an execution's first, by `attempts.Kind`."""
    states: Mapping[str, int]
    """What was owed, by the state that it came to."""
    latest_s: float
    """From its instant to its first POST, of the execution for which that took longest."""
    settings: Mapping[str, str]
    """Those that are not the product's defaults."""
    seed: int
    """That leads to the same choices again."""
    remarks: Sequence[str]
    """How often the fault met the moment that it is about, and the like."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome, of which commit it is, and where it was measured."""

    commit: str
    machine: Machine
    outcome: Outcome


def outcome(fault: Fault, run: "Run", seed: int) -> Outcome:
    """What became of a fault; it is ok where all invariants were kept, and the bound each time."""
    recovery = row(fault.name, run.recoveries_s, "s", at_most(fault.bound_s))
    facts = msgspec.structs.asdict(recovery)
    facts["ok"] = not run.problems and recovery.max <= fault.bound_s
    broken = sum(problem.startswith(INVARIANTS) for problem in run.problems)
    return Outcome(
        **facts,
        **run.counts._asdict(),
        ends=run.ends,
        problems=broken,
        amiss=len(run.problems) - broken,
        again=run.verdict.again,
        states=run.verdict.states,
        latest_s=round(run.verdict.latest_s, DIGITS),
        settings=fault.settings,
        seed=seed,
        remarks=run.remarks,
    )


def decode(text: str) -> list[Kept]:
    """What a file keeps."""
    return msgspec.json.decode(text, type=list[Kept])


def encode(kept: Iterable[Kept]) -> str:
    """As a file keeps it, for people to read too."""
    return msgspec.json.format(msgspec.json.encode(list(kept)), indent=1).decode() + "\n"


def merged(before: Iterable[Kept], after: Iterable[Kept], order: Collection[str]) -> list[Kept]:
    """The newest of each fault, in that order; faults that are not there any more go."""
    newest: Mapping[str, Kept] = {each.outcome.name: each for each in (*before, *after)}
    return [newest[name] for name in order if name in newest]
