"""ADAPTER. Room at each destination: this sender's own POSTs in flight, and the limits that all senders share."""

from collections import Counter
from collections.abc import Collection

import asyncpg
import structlog

from tocsin_common.database import CONNECTION_ERRORS
from tocsin_common.messages import Job
from tocsin_dispatcher.sender import sql
from tocsin_dispatcher.sender.outcome import Limit

FIRST_POST_S = 0.25  # how long a POST is taken to last before one was measured
WEIGHT_OF_LATEST = 0.3
MOST_REMEMBERED = 10_000  # destinations whose figures are kept: there is no end of new ones

_log = structlog.get_logger(__name__)


class Destinations:
    """Who may be posted to now."""

    def __init__(self, pool: asyncpg.Pool, *, in_flight_each: int) -> None:
        self._pool = pool
        self._in_flight_each = in_flight_each
        self._in_flight: Counter[str] = Counter()
        self._spacing_s: dict[str, float] = {}
        self._post_s: dict[str, float] = {}

    async def park(self, jobs: Collection[Job]) -> list[tuple[Job, float]]:
        """Give a slot to each job whose destination has no room now; returns those with their seconds to wait."""
        saturated = self._saturated(jobs)
        names = {job.destination for job in jobs}
        rows = await self._pool.fetch(sql.RESTRICTED_DESTINATIONS, list(names))
        restricted = {row["destination"] for row in rows}
        candidates = [job for job in jobs if job in saturated or job.destination in restricted]
        if not candidates:
            return []
        parked = await self._pool.fetch(
            sql.PARK,
            [job.scheduled_for for job in candidates],
            [job.task_id for job in candidates],
            [job.destination for job in candidates],
            [job in saturated for job in candidates],
            [self._post_s.get(job.destination, FIRST_POST_S) / self._in_flight_each for job in candidates],
        )
        return [(Job(row["task_id"], row["scheduled_for"], row["destination"]), row["wait_s"]) for row in parked]

    def enter(self, destination: str) -> None:
        """A POST to `destination` begins."""
        self._in_flight[destination] += 1

    def leave(self, destination: str, duration_s: float | None) -> None:
        """A POST ended after `duration_s`; None where it never began."""
        self._in_flight[destination] -= 1
        if duration_s is not None:
            before_s = self._post_s.get(destination, FIRST_POST_S)
            _remember(self._post_s, destination, before_s + WEIGHT_OF_LATEST * (duration_s - before_s))
        if not self._in_flight[destination]:
            del self._in_flight[destination]

    async def learn(self, destination: str, limit: Limit) -> None:
        """Tell all senders of a block. If the database is away, the destination says it again."""
        if limit.spacing_s:
            _remember(self._spacing_s, destination, limit.spacing_s)
        if not limit.blocked_s:
            return
        spacing_s = self._spacing_s.get(destination, 0.0)
        try:
            await self._pool.execute(sql.LEARN_LIMIT, destination, limit.blocked_s, spacing_s)
        except CONNECTION_ERRORS as error:
            _log.warning("limit.not_shared", destination=destination, error=repr(error))

    def _saturated(self, jobs: Collection[Job]) -> set[Job]:
        """Those for which this sender has no POST in flight left at their destination."""
        room = {job.destination: max(0, self._in_flight_each - self._in_flight[job.destination]) for job in jobs}
        saturated = set()
        for job in jobs:
            if room[job.destination] == 0:
                saturated.add(job)
            else:
                room[job.destination] -= 1
        return saturated


def _remember(figures: dict[str, float], destination: str, figure: float) -> None:
    """Keep `figure`, and forget the one that was kept longest ago where they become too many."""
    figures.pop(destination, None)
    figures[destination] = figure
    if len(figures) > MOST_REMEMBERED:
        del figures[next(iter(figures))]
