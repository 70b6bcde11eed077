"""PURE. What an import says of each row, and of all of them."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple
from uuid import UUID

from tocsin_api.errors import ProblemError

Outcome = Literal[
    "created", "started", "exists", "active", "left out", "changed", "differs", "deleted", "missing", "refused"
]
UNDONE = frozenset({"changed", "differs", "deleted", "missing", "refused"})
"""What somebody has to look at."""
_DONE: Mapping[str, str] = {"created": "would create", "started": "would start"}
_MEANINGS: Mapping[Outcome, str] = {
    "created": "tasks created",
    "started": "tasks started",
    "exists": "were here already, the same",
    "active": "are active already",
    "left out": "left out",
    "changed": "have another schedule or status since they were imported, and were not started",
    "differs": "are here and differ: left as they are",
    "deleted": "were imported and deleted here since: left so",
    "missing": "are not here",
    "refused": "refused",
}


class Line(NamedTuple):
    """What became of a row."""

    outcome: Outcome
    place: int
    """Of the row, from 1."""
    old_id: str = ""
    task_id: UUID | None = None
    says: tuple[str, ...] = ()


def show(line: Line, *, dry_run: bool) -> str:
    """A line for people."""
    word = _DONE.get(line.outcome, line.outcome) if dry_run else line.outcome
    who = f"row {line.place}" + (f", id {line.old_id}" if line.old_id else "")
    if line.task_id is not None and str(line.task_id) != line.old_id.lower():
        who += f", here {line.task_id}"
    return f"{word}: {who}" + (f": {'; '.join(line.says)}" if line.says else "")


def refused(place: int, error: ProblemError, old_id: str = "", task_id: UUID | None = None) -> Line:
    """A row that is no task: each field of it with what is wrong, and what is allowed."""
    says = tuple(f"{each.field}: {each.message}" for each in error.violations) or (str(error),)
    return Line("refused", place, old_id, task_id, says)


def summary(counts: Mapping[Outcome, int], unknown: Iterable[str], *, dry_run: bool) -> list[str]:
    """What it comes to."""
    lines = [f"{count} {_MEANINGS[outcome]}" for outcome in _MEANINGS if (count := counts.get(outcome, 0))]
    if names := sorted(unknown):
        lines.append(f"columns without a place here, which were not read: {', '.join(names)}")
    if dry_run:
        lines.append("nothing was changed: this was a dry run")
    return lines or ["there was no row"]
