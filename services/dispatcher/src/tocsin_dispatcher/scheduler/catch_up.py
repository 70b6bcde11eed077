"""PURE. What is still fired of the instants that were owed while nobody emitted, and what counts as missed.

Instants within the grace always fire. Of older ones the task's policy decides: `latest` fires the newest, unless
there is one within the grace; `all` fires each, up to a limit; `skip` fires none. The others become one row that
says how many they were, and from when to when. What is older than the retention is neither fired nor missed:
its rows would be removed at once.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from typing import NamedTuple
from uuid import UUID

from tocsin_dispatcher.scheduler.revision import TICK, UNREADABLE, Owed, Span, When

COUNT_LIMIT = 1000  # instants that are counted one by one: a year of seconds would take an hour


class Terms(NamedTuple):
    """What is decided by, whoever leads."""

    decided_at: datetime
    grace: timedelta
    limit: int
    """How many older instants of a task the policy `all` fires."""
    kept_from: datetime | None = None
    """Instants before are as if nobody had owed them; None: there are none."""


class Missed(NamedTuple):
    """Instants that will not fire."""

    task_id: UUID
    destination: str
    kind: str
    newest: datetime
    oldest: datetime
    total: int | None
    """None: more than COUNT_LIMIT."""


class Resolution(NamedTuple):
    """What becomes of a span."""

    fire: list[Owed]
    missed: Missed | None
    beyond: tuple[datetime, datetime] | None = None
    """The oldest and the newest instant that the retention cuts off."""


class _Decision(NamedTuple):
    """What becomes of a span, whichever task owes it."""

    fire: tuple[datetime, ...]
    missed: tuple[datetime, datetime, int | None] | None
    """Newest, oldest, how many."""
    beyond: tuple[datetime, datetime] | None
    """Oldest, newest."""


def resolve(span: Span, terms: Terms) -> Resolution:
    """Decide on the instants of `span`."""
    revision = span.revision
    fire, missed, beyond = _decide(revision.when, revision.policy.catch_up, span.start, span.end, terms)
    return Resolution(
        [revision.owed_at(instant) for instant in fire],
        missed and Missed(revision.task_id, revision.destination, revision.when.kind, *missed),
        beyond,
    )


# Tasks of one schedule come together and mostly have one span too, and cron arithmetic takes time.
@lru_cache(maxsize=4096)
def _decide(when: When, catch_up: str, start: datetime, end: datetime, terms: Terms) -> _Decision:
    try:
        return _decide_instants(when, catch_up, start, end, terms)
    except UNREADABLE:
        return _Decision((), None, None)


def _decide_instants(when: When, catch_up: str, start: datetime, end: datetime, terms: Terms) -> _Decision:
    beyond = None
    if terms.kept_from is not None and start < terms.kept_from:
        beyond = _ends(when, start, min(end, terms.kept_from - TICK))
        start = terms.kept_from
    recent_from = max(start, terms.decided_at - terms.grace + TICK)
    recent = list(takewhile(lambda instant: instant <= end, when.instants(recent_from)))
    old = _backwards(when, start, min(end, recent_from - TICK))
    fired = list(islice(old, _fired_of_old(catch_up, terms.limit, any_recent=bool(recent))))
    newest = next(old, None)
    missed = None if newest is None else (newest, *_range(when, start, newest))
    return _Decision((*reversed(fired), *recent), missed, beyond)


def _ends(when: When, start: datetime, end: datetime) -> tuple[datetime, datetime] | None:
    newest = next(_backwards(when, start, end), None)
    return None if newest is None else (next(when.instants(start)), newest)


def _fired_of_old(catch_up: str, limit: int, *, any_recent: bool) -> int:
    if catch_up == "all":
        return limit
    return 1 if catch_up == "latest" and not any_recent else 0


def _range(when: When, start: datetime, newest: datetime) -> tuple[datetime, int | None]:
    counted = list(islice(takewhile(lambda instant: instant <= newest, when.instants(start)), COUNT_LIMIT + 1))
    return counted[0], len(counted) if len(counted) <= COUNT_LIMIT else None


def _backwards(when: When, start: datetime, end: datetime) -> Iterator[datetime]:
    if end < start:
        return iter(())
    return takewhile(lambda instant: instant >= start, when.instants_before(end))
