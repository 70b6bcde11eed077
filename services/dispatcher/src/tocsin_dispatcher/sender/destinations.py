"""ADAPTER. What all senders know of destinations: their limits, their blocks, and whether they answer at all."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar
from uuid import UUID

import asyncpg
import structlog

from tocsin_common.messages import Job
from tocsin_dispatcher.clock import boottime
from tocsin_dispatcher.sender import limit_sql
from tocsin_dispatcher.sender.claim import Asking
from tocsin_dispatcher.sender.limits import NO_LIMIT, Told, Window
from tocsin_dispatcher.sender.outcome import DEFAULT_WAITS_S
from tocsin_dispatcher.sender.post import Attempt
from tocsin_dispatcher.sender.room import Breaker, Known, Room, limit, must_ask, room
from tocsin_dispatcher.sender.turns import Line, Wait

MOST_REMEMBERED = 10_000  # destinations whose figures are kept: there is no end of new ones
SAME = 0.05  # two windows whose lengths differ by so small a share are one
LATE_S = 0.05  # a POST takes some time to arrive, so a receiver's window may end so much later than ours
NOTHING = Known()

Key = tuple[datetime, UUID]
V = TypeVar("V")


class _Loan(NamedTuple):
    """What was written down for one that was let through, until it is posted."""

    destination: str
    window_from: datetime
    probed_until: datetime | None
    """Where it is the breaker's probe."""


_log = structlog.get_logger(__name__)


class Destinations:
    """Who may be posted to now, as far as receivers go."""

    def __init__(self, pool: asyncpg.Pool, *, breaker: Breaker) -> None:
        self._pool = pool
        self._breaker = breaker
        self._known: dict[str, Known] = {}
        self._entered_at: dict[str, float] = {}
        self._lent: dict[Key, _Loan] = {}

    async def that_must_ask(self, jobs: Collection[Job]) -> set[Job]:
        """Those of `jobs` that need room at their destinations; the others may begin."""
        counts = Counter(job.destination for job in jobs)
        now = await self._look_up(counts)
        asked = {name for name, number in counts.items() if self._must_ask(name, number, now)}
        return {job for job in jobs if job.destination in asked}

    async def admit(self, asking: Sequence[Asking]) -> dict[Job, Wait]:
        """Let as many begin as there is room for; returns when each of the others is to come again.

        Decided anew where another sender was faster.
        """
        waits: dict[Job, Wait] = {}
        now: datetime | None = None
        queues = _queues(asking)
        while queues:
            rooms = {name: self._room(name, queue, now or queue[0].now) for name, queue in queues.items()}
            late = await self._keep(rooms)
            for name in rooms.keys() - late:
                waits.update(self._settle(queues[name], rooms[name]))
            queues = {name: queues[name] for name in late}
            if queues:
                now = await self._look_up(queues)
        return waits

    def enter(self, destination: str) -> None:
        """A POST to `destination` begins that did not have to ask."""
        _remember(self._entered_at, destination, boottime())

    def blocked(self, now: datetime) -> tuple[int, int]:
        """How many of those that it knows are left alone: they asked for it, or they broke down."""
        known = list(self._known.values())  # at once: the thread that asks is not the event loop's
        told = sum(each.blocked_until > now for each in known)
        broken = sum(each.broken_until > now for each in known)
        return told, broken

    def refusals(self, destination: str) -> int:
        """How many times in a row it refused, and did not say for how long."""
        return self._known.get(destination, NOTHING).guesses

    async def learn(self, job: Job, attempt: Attempt) -> None:
        """Tell all senders what an attempt shows."""
        if attempt.verdict.is_breakdown:
            self._lent.pop(job.key, None)
            await self._count_failure(job.destination, attempt)
        elif attempt.told is not None:
            self._lent.pop(job.key, None)
            await self._forget_failures(job.destination, attempt)
            await self._learn_limit(job.destination, attempt, attempt.told)

    async def release(self, jobs: Iterable[Job]) -> None:
        """None of `jobs` was posted: the room that they had, and a probe, are others'."""
        loans = [loan for job in jobs if (loan := self._lent.pop(job.key, None)) is not None]
        if not loans:
            return
        places = Counter(loan._replace(probed_until=None) for loan in loans)
        probes = {loan.destination: loan.probed_until for loan in loans if loan.probed_until is not None}
        # One row a destination, for the window that was used last.
        latest = {loan.destination: loan for loan in sorted(places, key=lambda loan: loan.window_from)}
        values = [
            (name, loan.window_from, places[loan], probes.get(name)) for name, loan in sorted(latest.items())
        ]
        await self._pool.execute(limit_sql.RETURN_ROOM, *map(list, zip(*values, strict=True)))

    # --- Room --------------------------------------------------------------------------------------------------

    async def _look_up(self, names: Iterable[str]) -> datetime:
        """Learn what the other senders know; returns the database's time."""
        names = list(names)
        rows = await self._pool.fetch(limit_sql.KNOWN_DESTINATIONS, names)
        for name in names:
            self._known.pop(name, None)
        for row in rows:
            if row["destination"] is not None:
                _remember(self._known, row["destination"], _known(row))
        now: datetime = rows[0]["now"]
        return now

    def _must_ask(self, name: str, number: int, now: datetime) -> bool:
        known = self._known.get(name, NOTHING)
        since_s = boottime() - self._entered_at.get(name, float("-inf"))
        is_recent = since_s < limit(name, known.window).length_s
        return must_ask(name, known, self._breaker, now, number=number, is_recent=is_recent)

    def _room(self, name: str, queue: list[Asking], now: datetime) -> Room:
        waited = sum(asking.has_waited for asking in queue)
        known = self._with_lone_one(name, self._known.get(name, NOTHING), now)
        return room(name, known, self._breaker, now, waited=waited, new=len(queue) - waited)

    def _with_lone_one(self, name: str, known: Known, now: datetime) -> Known:
        """A POST that began here without asking counts as soon as another one follows it."""
        if name not in self._entered_at:
            return known
        begun_at = now - timedelta(seconds=boottime() - self._entered_at[name])
        length = timedelta(seconds=limit(name, known.window).length_s)
        if known.line.window_from + length <= begun_at and begun_at + length > now:
            return known._replace(line=known.line._replace(window_from=begun_at, window_used=1))
        return known

    async def _keep(self, rooms: dict[str, Room]) -> set[str]:
        """Write down what was decided; returns the destinations where another sender was faster."""
        news = {name: each.known for name, each in rooms.items() if each.known != self._known.get(name, NOTHING)}
        if not news:
            return set()
        values = [(name, *known.line, known.broken_until, known.version) for name, known in news.items()]
        columns = zip(*values, strict=True)
        rows = await self._pool.fetch(limit_sql.KEEP_ROOM, *map(list, columns))
        return news.keys() - {row["destination"] for row in rows}

    def _settle(self, queue: list[Asking], decided: Room) -> dict[Job, Wait]:
        admitted = decided.turns.admitted
        known, probed_until = decided.known, decided.known.broken_until if decided.is_probe else None
        if known != self._known.get(queue[0].job.destination, NOTHING):
            for asking in queue[:admitted]:
                name = asking.job.destination
                self._lent[asking.job.key] = _Loan(name, known.line.window_from, probed_until)
        late = [asking.job for asking in queue[admitted:]]
        return dict(zip(late, decided.turns.waits, strict=True))

    # --- What answers show ---------------------------------------------------------------------------------------

    async def _learn_limit(self, destination: str, attempt: Attempt, told: Told) -> None:
        before = self._known.get(destination, NOTHING)
        bucket = told.bucket or before.bucket
        window = before.window if bucket == before.bucket else None  # another one's figures say nothing of this
        if told.window is not None and _is_news(told.window, window, limit(destination, window)):
            window = told.window
        if (bucket, window) != (before.bucket, before.window):
            _remember(self._known, destination, before._replace(bucket=bucket, window=window))
            await self._pool.execute(limit_sql.LEARN_WINDOW, destination, bucket, *(window or (None, None)))
        if told.blocked_s:
            await self._block(destination, attempt, told.blocked_s)
        elif told.is_used_up:
            await self._close_window(destination, told, limit(destination, window))

    async def _block(self, destination: str, attempt: Attempt, seconds: float) -> None:
        if attempt.verdict.is_guess:
            known, waits_s = self._known.get(destination, NOTHING), list(DEFAULT_WAITS_S)
            _remember(self._known, destination, known._replace(guesses=known.guesses + 1))
            await self._pool.execute(limit_sql.COUNT_REFUSAL, destination, attempt.started_at, waits_s)
        else:
            await self._pool.execute(limit_sql.BLOCK_DESTINATION, destination, seconds)

    async def _close_window(self, destination: str, told: Told, window: Window) -> None:
        if window == NO_LIMIT:
            await self._pool.execute(limit_sql.BLOCK_DESTINATION, destination, told.resets_after_s)
        else:
            await self._pool.execute(
                limit_sql.CLOSE_WINDOW,
                destination,
                told.resets_after_s,
                window.requests,
                window.length_s,
                LATE_S,
            )

    async def _count_failure(self, destination: str, attempt: Attempt) -> None:
        breaker, known = self._breaker, self._known.get(destination, NOTHING)
        _remember(self._known, destination, known._replace(failures=known.failures + 1))
        row = await self._pool.fetchrow(
            limit_sql.COUNT_FAILURE,
            destination,
            attempt.started_at,
            breaker.failures,
            breaker.first_s,
            breaker.most_s,
        )
        if row is not None and row["is_open"]:
            _log.warning("destination.blocked", destination=destination, blocked_s=round(row["blocked_s"], 1))

    async def _forget_failures(self, destination: str, attempt: Attempt) -> None:
        known = self._known.get(destination, NOTHING)
        guesses = known.guesses if attempt.verdict.is_guess else 0
        if known.failures or known.guesses != guesses:
            _remember(self._known, destination, known._replace(failures=0, guesses=guesses))
            await self._pool.execute(limit_sql.FORGET_FAILURES, destination, guesses == 0)


def _queues(asking: Iterable[Asking]) -> dict[str, list[Asking]]:
    """By destination, each in the order in which turns are taken."""
    queues = defaultdict(list)
    for each in sorted(asking, key=lambda each: each.place):
        queues[each.job.destination].append(each)
    return queues


def _known(row: asyncpg.Record) -> Known:
    requests = row["window_limit"]
    return Known(
        row["bucket"],
        None if requests is None else Window(requests, row["window_s"]),
        Line(row["window_from"], row["window_used"], row["next_slot_at"]),
        row["blocked_until"],
        row["broken_until"],
        row["failures"],
        row["guesses"],
        row["version"],
    )


def _is_news(told: Window, known: Window | None, current: Window) -> bool:
    """Whether it is to be kept. `current`: what is known, or else guessed."""
    if told == NO_LIMIT:  # one answer without headers does not undo what others said
        return known is None and current != NO_LIMIT
    if known is None or known.requests != told.requests:
        return True
    return abs(known.length_s - told.length_s) > SAME * known.length_s


def _remember(figures: dict[str, V], destination: str, value: V) -> None:
    """Keep `value`, and forget the one that was kept longest ago where they become too many."""
    figures.pop(destination, None)
    figures[destination] = value
    if len(figures) > MOST_REMEMBERED:
        del figures[next(iter(figures))]
