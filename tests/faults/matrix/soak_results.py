"""PURE. What a soak came to: kept in a file, on the screen, in the document about reliability."""

from collections.abc import Mapping

import msgspec

from faults.matrix import table
from faults.matrix.results import INVARIANTS, Outcome
from tocsin_local.report import Machine

BEGIN = "<!-- The newest `make soak`: begin. `make reliability` writes it. -->"
END = "<!-- The newest `make soak`: end. -->"
AGAIN = {
    "retry": "the answer before was a failure, or there was none",
    "not received": "the answer before was a success and did not arrive",
    "not recorded": "whoever got the answer before died, or was cut off, before it was recorded",
    "unexplained": "no reason is known",
}
"""The kinds of `attempts.Kind`, in words."""


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """One soak."""

    seed: int
    minutes: float
    faults: Mapping[str, int]
    """How often each was dealt."""
    outcome: Outcome
    """Its recovery is that after the last fault, when all heals."""
    states: Mapping[str, int]
    """Rows of executions."""
    again: Mapping[str, int]
    worst_recovery_s: float
    """After any of the faults, while others went on."""
    worst_recovery_from: str
    """After which one that was."""
    worst_recovery_bound_s: float
    overdue_s: float
    """The longest for which an execution whose time had come was neither begun nor put off."""
    leaders: int
    """Changes of leadership."""
    problems: list[str]
    """The first ones."""
    struck: Mapping[str, int]
    """How often each met what it is about; one may come when another has already taken that away."""
    changes: int
    """Of tasks, by users."""
    single: int
    """Runs by hand, and tasks that run once."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A soak, of which commit it is, and where it was measured."""

    commit: str
    machine: Machine
    soak: Soak


def decode(text: str) -> Kept:
    """What a file keeps."""
    return msgspec.json.decode(text, type=Kept)


def encode(kept: Kept) -> str:
    """As a file keeps it, for people to read too."""
    return msgspec.json.format(msgspec.json.encode(kept), indent=1).decode() + "\n"


def for_people(soak: Soak) -> list[str]:
    """Its summary."""
    return [
        *table.for_people([soak.outcome]),
        f"  {sum(soak.faults.values())} faults of {len(soak.faults)} kinds; {soak.leaders} changes of leadership",
        f"  {soak.changes:,} changes of tasks, {soak.single:,} runs by hand or once",
        f"  rows: {table.counted(soak.states)}",
        f"  overdue, neither begun nor put off: {soak.overdue_s:.1f} s at the most",
        f"  until all was well after any fault, while others went on: {soak.worst_recovery_s:.1f} s at the most "
        f"({soak.worst_recovery_from})",
        *(f"  {number:,} POSTs again: {AGAIN[kind]}" for kind, number in soak.again.items()),
        *(f"  BROKEN {problem}" for problem in soak.problems),
    ]


def in_document(text: str, kept: Kept) -> str:
    """The document with this between the markers; ValueError where these are not in it."""
    return table.put_between(text, BEGIN, END, markdown(kept))


def markdown(kept: Kept) -> list[str]:
    """All that is known of it."""
    soak, outcome = kept.soak, kept.soak.outcome
    bound = f"bound {outcome.bound.replace('<=', '≤')} s"
    facts = [
        ("seed", str(soak.seed)),
        (
            "faults, and how many struck",
            f"{sum(soak.faults.values())}, {sum(soak.struck.values())}: {_faults(soak)}",
        ),
        ("owed", f"{outcome.owed:,}"),
        ("rows of executions", table.counted(soak.states)),
        ("changes of leadership", f"{soak.leaders:,}"),
        ("changes of tasks by users", f"{soak.changes:,}"),
        ("runs by hand, and tasks that run once", f"{soak.single:,}"),
        ("processes that ended by themselves", f"{outcome.ends:,}"),
        ("POSTs", f"{outcome.posts:,}"),
        *((f"POSTs again: {words}", f"{soak.again.get(kind, 0):,}") for kind, words in AGAIN.items()),
        ("lost", f"{outcome.lost:,}"),
        ("early", f"{outcome.early:,}"),
        ("overdue, neither begun nor put off", f"{soak.overdue_s:.1f} s at the most; {bound}"),
        ("recovery after the last fault", f"{outcome.max:.1f} s; {bound}"),
        (
            "until all was well after any fault, while others went on",
            f"{soak.worst_recovery_s:.1f} s at the most (`{soak.worst_recovery_from}`); "
            f"bound ≤ {soak.worst_recovery_bound_s:g} s",
        ),
        ("latest first POST, after its instant", f"{outcome.latest_s:.1f} s"),
        ("settings", table.settings(outcome.settings)),
        ("invariants broken", f"{outcome.problems:,}"),
    ]
    return [
        f"| {soak.minutes:g} minutes, commit {kept.commit} | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts),
        "",
        f"Measured on {table.place(kept.machine)}",
        *([""] if soak.problems else []),
        *(
            f"- **{'broken' if problem.startswith(INVARIANTS) else 'amiss'}** {problem}"
            for problem in soak.problems
        ),
    ]


def _faults(soak: Soak) -> str:
    return ", ".join(
        f"`{name}` {of}" + ("" if soak.struck[name] == of else f" ({soak.struck[name]})")
        for name, of in soak.faults.items()
    )
