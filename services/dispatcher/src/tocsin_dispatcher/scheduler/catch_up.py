"""PURE. What is still fired of the instants that were owed while nobody emitted, and what counts as missed.

Instants within the grace always fire. Of older ones the newest fires, unless there is one within the grace; the
others become one row that says how many they were, and from when to when.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import NamedTuple
from uuid import UUID

from tocsin_common import schedule
from tocsin_common.messages import Job
from tocsin_dispatcher.scheduler.heap import TICK, Span

COUNT_LIMIT = 1000  # instants that are counted one by one: a year of seconds would take an hour


class Missed(NamedTuple):
    """Instants that will not fire."""

    task_id: UUID
    newest: datetime
    oldest: datetime
    total: int | None
    """None: more than COUNT_LIMIT."""
    destination: str


class Resolution(NamedTuple):
    """What becomes of a span."""

    fire: list[Job]
    missed: Missed | None


def resolve(span: Span, *, decided_at: datetime, grace: timedelta) -> Resolution:
    """Decide on the instants of `span`, as of `decided_at`."""
    recent_from = max(span.start, decided_at - grace + TICK)
    recent = list(takewhile(lambda instant: instant <= span.end, _instants(span, recent_from)))
    old_until = min(span.end, recent_from - TICK)
    newest = list(islice(_backwards(span, old_until), 2))
    fired = recent if recent else newest[:1]
    unfired = newest if recent else newest[1:]
    missed = _missed(span, unfired[0]) if unfired else None
    return Resolution([Job(span.revision.task_id, at, span.revision.destination) for at in fired], missed)


def _missed(span: Span, newest: datetime) -> Missed:
    old = takewhile(lambda instant: instant <= newest, _instants(span, span.start))
    counted = list(islice(old, COUNT_LIMIT + 1))
    count = len(counted) if len(counted) <= COUNT_LIMIT else None
    return Missed(span.revision.task_id, newest, counted[0], count, span.revision.destination)


def _instants(span: Span, start: datetime) -> Iterator[datetime]:
    return schedule.instants(span.revision.schedule, span.revision.timezone, start=start)


def _backwards(span: Span, end: datetime) -> Iterator[datetime]:
    if end < span.start:
        return iter(())
    source = schedule.instants_before(span.revision.schedule, span.revision.timezone, end=end)
    return takewhile(lambda instant: instant >= span.start, source)
