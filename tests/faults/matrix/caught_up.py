"""PURE. Whether an outage left what a policy says; that is found by looking at every second."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from e2e.oracle import Row
from faults.outage import Left, Missed, Outage, Rules, left, seconds


def owed_in(outage: Outage, period_s: int, effective_from: datetime) -> list[datetime]:
    """What a task owes in it that comes whenever the second of the minute is a multiple of `period_s`."""
    return [
        at for at in seconds(*outage) if at > outage.since and at >= effective_from and at.second % period_s == 0
    ]


def outside(missed: Iterable[Row], outages: Sequence[Outage]) -> list[str]:
    """Of missed rows those that belong to no outage."""
    return [
        f"I1: {row['task_id']}: {row['scheduled_for']:%H:%M:%S} is missed, and belongs to no outage"
        for row in missed
        if not any(since < row["scheduled_for"] <= until for since, until in outages)
    ]


def problems(
    tasks: Mapping[UUID, Sequence[datetime]],
    rows: Iterable[Row],
    catch_up: str,
    outage: Outage,
    rules: Rules,
    emitted_before: Container[tuple[UUID, datetime]],
) -> list[str]:
    """Of `tasks`, with what each owes in the outage; `rows` are all of its instants."""
    of_task: dict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        of_task[row["task_id"]].append(row)
    wrong = []
    for task_id, owed in tasks.items():
        before = [at for at in owed if (task_id, at) in emitted_before]
        expected, found = left(owed, catch_up, [outage], rules, before), _found(of_task[task_id], owed)
        if found != expected:
            wrong.append(f"I1: {task_id}, {catch_up}: the outage left {_words(found)}, not {_words(expected)}")
    return wrong


def _found(rows: Iterable[Row], owed: Sequence[datetime]) -> Left:
    """A missed row's range may begin anywhere before the first instant that it stands for."""
    found = Left(set(), set())
    for row in rows:
        if row["state"] == "missed":
            oldest = next((at for at in owed if at >= row["missed_from"]), row["missed_from"])
            found.missed.add(Missed(oldest, row["scheduled_for"], row["missed_count"]))
        else:
            found.fired.add(row["scheduled_for"])
    return found


def _words(rows: Left) -> str:
    fired = ", ".join(f"{at:%M:%S}" for at in sorted(rows.fired))
    missed = ", ".join(
        f"{one.number} from {one.oldest:%M:%S} to {one.newest:%M:%S}" for one in sorted(rows.missed)
    )
    return f"fired [{fired}] and missed [{missed}]"
