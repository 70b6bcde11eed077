"""PURE. From runs to a report's rows, and the file that keeps the newest row of each fault."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from bench.figures import at_most, row
from faults.matrix.fault import Fault
from tocsin_local.report import Machine, Row

if TYPE_CHECKING:
    from faults.matrix.run import Run


class Outcome(Row, frozen=True, kw_only=True):
    """A row of the report: seconds to recover. The counts are of all its runs together; see `verdict.Counts`."""

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


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome, of which commit it is, and where it was measured."""

    commit: str
    machine: Machine
    outcome: Outcome


def outcome(fault: Fault, runs: Sequence["Run"]) -> Outcome:
    """What became of a fault; it is ok where each run kept all invariants and the bound."""
    recovery = row(fault.name, [each.recovery_s for each in runs], "s", at_most(fault.bound_s))
    problems = sum(len(each.problems) for each in runs)
    counts = {name: sum(getattr(each.counts, name) for each in runs) for name in runs[0].counts._fields}
    facts = msgspec.structs.asdict(recovery)
    facts["ok"] = problems == 0 and recovery.max <= fault.bound_s
    return Outcome(**facts, **counts, ends=sum(each.ends for each in runs), problems=problems)


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
