"""ADAPTER. What all senders know of destinations: their limits, their blocks, and whether they answer at all."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeVar

import asyncpg
import structlog

from tocsin_common import webhook
from tocsin_common.database import CONNECTION_ERRORS
from tocsin_common.messages import Job
from tocsin_dispatcher.clock import boottime
from tocsin_dispatcher.sender import limit_sql
from tocsin_dispatcher.sender.limits import DISCORD_WINDOW, NO_LIMIT, Told, Window
from tocsin_dispatcher.sender.post import Attempt

FIRST_POST_S = 0.25  # how long a POST is taken to last before one was measured
WEIGHT_OF_LATEST = 0.3
MOST_REMEMBERED = 10_000  # destinations whose figures are kept: there is no end of new ones
MARGIN = 1.03
"""A receiver's window begins when the first POST arrives, and POSTs take their time to arrive."""
DISCORD = "discord.com"
SAME = 0.05  # two windows whose lengths differ by so small a share are one

V = TypeVar("V")

_log = structlog.get_logger(__name__)


class Breaker(NamedTuple):
    """When a destination that gives no sane answer is left alone, and for how long."""

    failures: int
    """So many in a row open it."""
    first_s: float
    """The first block; each further one is twice as long, up to `most_s`."""
    most_s: float
    probe_s: float
    """How long the one POST may take that is tried after a block."""


class _Known(NamedTuple):
    """What the senders know of a destination; nothing is known of most."""

    window: Window | None = None
    is_blocked: bool = False
    is_in_use: bool = False
    """Slots of its window were given away."""


class Destinations:
    """Who may be posted to now."""

    def __init__(self, pool: asyncpg.Pool, *, in_flight_each: int, breaker: Breaker) -> None:
        self._pool = pool
        self._in_flight_each = in_flight_each
        self._breaker = breaker
        self._post_s: dict[str, float] = {}
        self._entered_at: dict[str, float] = {}
        self._told: dict[str, tuple[str | None, Window | None]] = {}
        self._failing: dict[str, bool] = {}
        self._guesses: dict[str, int] = {}
        """How many times in a row each refused and did not say for how long; Discord as a whole is DISCORD."""

    async def park(self, jobs: Collection[Job], crowded: Sequence[Job] = ()) -> list[tuple[Job, float]]:
        """Give a slot to each job whose destination has no room now; returns those with their seconds to wait.

        `crowded`: for these this sender itself has no room.
        """
        jobs, saturated = [*jobs, *crowded], set(crowded)
        known = await self._look_up({job.destination for job in jobs})
        counted = self._counted(jobs, known)
        asking = {job.destination for job in saturated} | counted
        if strangers := sorted(asking - known.keys()):
            await self._pool.execute(limit_sql.MEET_DESTINATIONS, strangers)
        asking |= {name for name, each in known.items() if each.is_blocked}
        candidates = [job for job in jobs if job.destination in asking]
        if not candidates:
            return []
        windows = {name: self._window(name, known.get(name, _Known())) for name in asking}
        parked = await self._pool.fetch(
            limit_sql.PARK,
            [job.scheduled_for for job in candidates],
            [job.task_id for job in candidates],
            [job.destination for job in candidates],
            [job in saturated for job in candidates],
            [windows[job.destination].requests for job in candidates],
            [windows[job.destination].length_s for job in candidates],
            self._breaker.failures,
            self._breaker.probe_s,
            [job.destination in counted for job in candidates],
            [job.destination in counted and self._is_guess(job.destination, known) for job in candidates],
        )
        return [(Job(row["task_id"], row["scheduled_for"], row["destination"]), row["wait_s"]) for row in parked]

    def enter(self, destination: str) -> None:
        """A POST to `destination` begins."""
        _remember(self._entered_at, destination, boottime())

    def limited_in_row(self, destination: str) -> int:
        """How many times in a row it refused, and did not say for how long."""
        whole = self._guesses.get(DISCORD, 0) if webhook.is_at_discord(destination) else 0
        return max(self._guesses.get(destination, 0), whole)

    async def learn(self, destination: str, attempt: Attempt) -> None:
        """Tell all senders what an attempt shows. If the database is away, the destination shows it again."""
        self._count_guesses(destination, attempt)
        try:
            if attempt.verdict.is_breakdown:
                await self._count_failure(destination, attempt)
            elif attempt.told is not None:
                before_s = self._post_s.get(destination, FIRST_POST_S)
                measured_s = before_s + WEIGHT_OF_LATEST * (attempt.duration_s - before_s)
                _remember(self._post_s, destination, measured_s)
                await self._forget_failures(destination)
                await self._learn_limit(destination, attempt.told)
        except CONNECTION_ERRORS as error:
            _log.warning("limit.not_shared", destination=destination, error=repr(error))

    def _count_guesses(self, destination: str, attempt: Attempt) -> None:
        is_whole = attempt.told is not None and attempt.told.is_everywhere and webhook.is_at_discord(destination)
        if attempt.verdict.is_guess:
            name = DISCORD if is_whole else destination
            _remember(self._guesses, name, self._guesses.get(name, 0) + 1)
        elif attempt.told is not None:
            self._guesses.pop(destination, None)
            if webhook.is_at_discord(destination):
                self._guesses.pop(DISCORD, None)

    async def _look_up(self, names: set[str]) -> dict[str, _Known]:
        rows = await self._pool.fetch(
            limit_sql.KNOWN_DESTINATIONS, list(names), self._breaker.failures, DISCORD_WINDOW.length_s
        )
        known = {}
        for row in rows:
            name, limit = row["destination"], row["window_limit"]
            window = None if limit is None else Window(limit, row["window_s"])
            known[name] = _Known(window, row["is_blocked"], row["is_in_use"])
            _remember(self._told, name, (row["bucket"], window))
            if row["failures"]:
                _remember(self._failing, name, value=True)
            else:
                self._failing.pop(name, None)
        return known

    def _counted(self, jobs: Collection[Job], known: dict[str, _Known]) -> set[str]:
        """The destinations whose limit is near: those with one that get more than a lone POST now and then."""
        asked = Counter(job.destination for job in jobs)
        found = set()
        for name, count in asked.items():
            what = known.get(name, _Known())
            limit = _limit(name, what.window)
            if limit != NO_LIMIT:
                is_recent = boottime() - self._entered_at.get(name, float("-inf")) < limit.length_s
                if count > 1 or what.is_in_use or is_recent:
                    found.add(name)
        return found

    def _is_guess(self, name: str, known: dict[str, _Known]) -> bool:
        return known.get(name, _Known()).window is None

    def _window(self, name: str, known: _Known) -> Window:
        """The slots there are; where no limit is known, as fast as this sender's POSTs come to an end."""
        limit = _limit(name, known.window)
        if limit == NO_LIMIT:
            return Window(1, self._post_s.get(name, FIRST_POST_S) / self._in_flight_each)
        return Window(limit.requests, limit.length_s * MARGIN)

    async def _learn_limit(self, destination: str, told: Told) -> None:
        before = self._told.get(destination, (None, None))
        bucket = told.bucket or before[0]
        window = before[1] if bucket == before[0] else None  # another bucket's figures say nothing of this one
        if told.window is not None and _is_news(told.window, window, _limit(destination, window)):
            window = told.window
        if (bucket, window) != before:
            _remember(self._told, destination, (bucket, window))
            await self._pool.execute(limit_sql.LEARN_WINDOW, destination, bucket, *(window or (None, None)))
        if told.blocked_s:
            await self._pool.execute(limit_sql.BLOCK_DESTINATION, destination, told.blocked_s)
        elif told.is_used_up:
            await self._close_window(destination, told, window)

    async def _close_window(self, destination: str, told: Told, window: Window | None) -> None:
        window = _limit(destination, window)
        if window == NO_LIMIT:
            await self._pool.execute(limit_sql.BLOCK_DESTINATION, destination, told.resets_after_s)
        else:
            length_s = window.length_s * MARGIN
            await self._pool.execute(
                limit_sql.CLOSE_WINDOW,
                destination,
                told.resets_after_s,
                window.requests,
                window.length_s,
                length_s,
            )

    async def _count_failure(self, destination: str, attempt: Attempt) -> None:
        breaker = self._breaker
        _remember(self._failing, destination, value=True)
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

    async def _forget_failures(self, destination: str) -> None:
        if self._failing.pop(destination, False):
            await self._pool.execute(limit_sql.FORGET_FAILURES, destination, self._breaker.failures)


def _limit(destination: str, known: Window | None) -> Window:
    """What is known, or else guessed."""
    if known is not None:
        return known
    return DISCORD_WINDOW if webhook.is_discords(destination) else NO_LIMIT


def _is_news(told: Window, known: Window | None, limit: Window) -> bool:
    """Whether it is to be kept. `limit`: what is known, or else guessed."""
    if told == NO_LIMIT:  # one answer without headers does not undo what others said
        return known is None and limit != NO_LIMIT
    if known is None or known.requests != told.requests:
        return True
    return abs(known.length_s - told.length_s) > SAME * known.length_s


def _remember(figures: dict[str, V], destination: str, value: V) -> None:
    """Keep `value`, and forget the one that was kept longest ago where they become too many."""
    figures.pop(destination, None)
    figures[destination] = value
    if len(figures) > MOST_REMEMBERED:
        del figures[next(iter(figures))]
