"""PURE. What arrived at the sink: when, where, and for which execution."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from tocsin_common.messages import Job, execution_id
from tocsin_local.errors import StackError


class Arrival(NamedTuple):
    """One POST. `at` is aware, UTC, to the millisecond: that is how exactly nginx logs."""

    at: datetime
    address: str
    execution_id: UUID


def parse(log: str) -> list[Arrival]:
    """Lines of `seconds.milliseconds address execution-id`; ValueError where one is something else."""
    found = []
    for line in log.splitlines():
        at, address, execution = line.split(" ")
        seconds, milliseconds = at.split(".")
        moment = datetime.fromtimestamp(int(seconds), UTC) + timedelta(milliseconds=int(milliseconds))
        found.append(Arrival(moment, address, UUID(execution)))
    return found


def posts(arrived: Iterable[Arrival]) -> Counter[UUID]:
    """How many POSTs each execution had."""
    return Counter(arrival.execution_id for arrival in arrived)


def check(arrived: Iterable[Arrival], expected: Collection[UUID]) -> None:
    """StackError where not each of `expected` was posted once, or something else was."""
    found = posts(arrived)
    wanted = set(expected)
    counts = {
        "were not posted": len(wanted - found.keys()),
        "were posted more than once": sum(found[each] > 1 for each in wanted),
        "were posted and owed by nobody": len(found.keys() - wanted),
    }
    if any(counts.values()):
        raise StackError(", ".join(f"{number} executions {what}" for what, number in counts.items() if number))


def instants(jobs: Iterable[Job]) -> dict[UUID, datetime]:
    """When each execution is owed."""
    return {execution_id(job.task_id, job.scheduled_for): job.scheduled_for for job in jobs}


def lateness_ms(arrived: Sequence[Arrival], owed: Mapping[UUID, datetime]) -> list[float]:
    """For each of `owed` that arrived, how long after its instant it did so for the first time."""
    first: dict[UUID, datetime] = {}
    for arrival in arrived:
        if arrival.execution_id in owed:
            at = first.get(arrival.execution_id, arrival.at)
            first[arrival.execution_id] = min(at, arrival.at)
    return [(at - owed[each]) / timedelta(milliseconds=1) for each, at in first.items()]
