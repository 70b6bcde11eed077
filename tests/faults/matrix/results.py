"""PURE. From runs to a report's rows, and the file that keeps the newest row of each fault."""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from bench.figures import at_most, row
from faults.matrix.fault import Fault
from tocsin_local.report import Machine, Row

if TYPE_CHECKING:
    from faults.matrix.run import Run


class Outcome(Row, frozen=True, kw_only=True):
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


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome, of which commit it is, and where it was measured."""

    commit: str
    machine: Machine
    outcome: Outcome


def outcome(fault: Fault, run: "Run") -> Outcome:
    """What became of a fault; it is ok where all invariants were kept, and the bound each time."""
    recovery = row(fault.name, run.recoveries_s, "s", at_most(fault.bound_s))
    facts = msgspec.structs.asdict(recovery)
    facts["ok"] = not run.problems and recovery.max <= fault.bound_s
    return Outcome(**facts, **run.counts._asdict(), ends=run.ends, problems=len(run.problems))


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
