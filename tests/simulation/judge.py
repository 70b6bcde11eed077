"""The last judgement: once everything works again, every owed instant has its one row, each row its reason."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from simulation.database import OPEN, Database, Execution
from simulation.owed import Term, kind, terms
from simulation.watch import Watch
from tocsin_common.settings import SchedulerSettings

LAG = timedelta(seconds=4)
"""The watermark follows the clock, in good times, by what a renewal takes and a little more."""


def problems(database: Database, watch: Watch, settings: SchedulerSettings) -> Iterator[str]:
    """What is wrong in the end."""
    now = database.clock()
    if database.lease.watermark < now - LAG:
        yield f"it is {now}, but the watermark stands at {database.lease.watermark}"
        return
    for task_id, own in terms(database.revisions.values()):
        if watch.are_holes_mended:
            yield from _unaccounted(database, watch, task_id, own)
        if not watch.is_elsewhere:  # there the last minute is decided on again, and counted again
            yield from _miscounted(database, watch, task_id, own)
    yield from _never_announced(database, watch, settings)
    yield from _never_finished(database, settings)


def _unaccounted(database: Database, watch: Watch, task_id: UUID, own: list[Term]) -> Iterator[str]:
    # Where a task was not known for a while, what it owed is made up for as long as it owes that still.
    for term in own if watch.is_without_holes else own[-1:]:
        for instant in term.owed(watch.reboots, min(term.end, database.lease.watermark)):
            if instant > watch.begins_at:
                found = watch.accounts(task_id, instant)
                if found < 1 or (found > 1 and not watch.is_elsewhere):
                    yield f"{instant} of {task_id} ({kind(term.first)}) is accounted for {found} times"


def _miscounted(database: Database, watch: Watch, task_id: UUID, own: list[Term]) -> Iterator[str]:
    rows = [row for row in database.executions.values() if row.task_id == task_id]
    fired = {row.scheduled_for for row in rows if row.state != "missed"}
    for row in rows:
        if row.state != "missed" or row.missed_from is None:
            continue
        start, end = row.missed_from, row.scheduled_for
        least = sum(len(_in(term.owed(watch.reboots), start, end) - fired) for term in own)
        # What the old version owed until the change was known may have been counted too.
        most = len(set().union(*(_in(term.owed(watch.reboots, end), start, end) for term in own)) - fired)
        if row.missed_count is None:
            if not most:
                yield f"many of {task_id} are said to be missed from {start} to {end}, but none is"
        elif not least <= row.missed_count <= most:
            yield f"{row.missed_count} of {task_id} are said to be missed from {start} to {end}, but {least} are"


def _in(instants: list[datetime], start: datetime, end: datetime) -> set[datetime]:
    return {instant for instant in instants if start <= instant <= end}


def _never_announced(database: Database, watch: Watch, settings: SchedulerSettings) -> Iterator[str]:
    now = database.clock()
    for key, row in database.executions.items():
        if row.state in OPEN and row.next_at + _bound(row, settings) < now:
            yield f"{key} is {row.state} and overdue since {row.next_at}; announced: {key in watch.announced}"


def _never_finished(database: Database, settings: SchedulerSettings) -> Iterator[str]:
    """A one-off whose run has ended is a task no more."""
    patience = timedelta(seconds=settings.sweep_outage_patience_s + 2 * settings.sweep_interval_s + 2)
    for task in database.tasks.values():
        if task.status == "ACTIVE" and task.run_at is not None:
            row = database.executions.get((task.run_at, task.task_id))
            if row is not None and row.state not in OPEN and row.ended_at + patience < database.clock():
                yield f"the one run of {task.task_id} has ended, but it is active"


def _bound(row: Execution, settings: SchedulerSettings) -> timedelta:
    """What the sweeper may take: a new leader's patience, the row's own, and the time between two sweeps."""
    patience_s = settings.sweep_patience_s * 2 ** max(0, row.sweeps)
    return timedelta(seconds=patience_s + settings.sweep_outage_patience_s + 2 * settings.sweep_interval_s + 2)
