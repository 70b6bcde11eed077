"""ADAPTER. The claim: the gate through which every attempt goes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg
import structlog

from tocsin_common.database import CONNECTION_ERRORS
from tocsin_common.messages import Job, execution_id, iso_utc
from tocsin_dispatcher import metrics
from tocsin_dispatcher.clock import DatabaseClock, boottime
from tocsin_dispatcher.sender import sql
from tocsin_dispatcher.sender.turns import Wait

AGAIN_S = 1.0  # for those of which it could not be asked what they are

_log = structlog.get_logger(__name__)


class Grant(NamedTuple):
    """One attempt, granted to this sender alone until `deadline`."""

    job: Job
    seq: int
    failures: int
    max_retry: int
    webhook_url_sealed: bytes
    webhook_url_hash: bytes
    payload: str
    """JSON."""
    deadline: float
    """On CLOCK_BOOTTIME: no POST may be under way after it."""
    jitter_ms: int

    def lateness_ms(self, started_at: datetime) -> float:
        """Of a POST that started then."""
        return (started_at - self.job.scheduled_for) / timedelta(milliseconds=1) - self.jitter_ms


class Claimed(NamedTuple):
    """What became of the jobs of a claim."""

    grants: Sequence[Grant]
    not_due: Sequence[tuple[Job, float]]
    """With the seconds until each may be claimed."""
    moved: Sequence[Job]
    """Their tasks have another webhook now; with its destination."""


class Asking(NamedTuple):
    """A job whose execution may begin, as far as its own row goes."""

    job: Job
    has_waited: bool
    """For its turn: it goes before those that come new."""
    now: datetime
    """By the database."""

    @property
    def place(self) -> tuple[bool, datetime, UUID]:
        """Among those that ask: who has waited goes first, and then the earlier execution."""
        return (not self.has_waited, *self.job.key)


class Claims:
    """Claims for one sender."""

    def __init__(self, pool: asyncpg.Pool, clock: DatabaseClock, *, sender: str, ttl_s: float) -> None:
        self._pool = pool
        self._clock = clock
        self._sender = sender
        self._ttl = timedelta(seconds=ttl_s)

    async def claim(self, jobs: Collection[Job]) -> Claimed:
        """Ask for every job; each of them at most once. What is neither granted nor early is done with.

        Jobs of one task come in one claim where they can: then the earliest of them decides on the others.
        """
        if not jobs:
            return Claimed([], [], [])
        sent_at = boottime()
        deadline = sent_at + self._ttl.total_seconds()  # before the database reckons its own
        destinations = [job.destination for job in jobs]
        rows = await self._pool.fetch(sql.CLAIM, *_keys(jobs), self._ttl, self._sender, destinations)
        if rows:
            self._clock.sample(rows[0]["now"], sent_at=sent_at)
        _tell(rows)
        grants = [_grant(row, deadline) for row in rows if row["state"] == "running"]
        moved = [_job(row) for row in rows if row["state"] == "moved"]
        decided = {(row["scheduled_for"], row["task_id"]) for row in rows}
        rest = [job for job in jobs if job.key not in decided]
        return Claimed(grants, await self._classify_losers(rest), moved)

    async def ready(self, jobs: Collection[Job]) -> list[Asking]:
        """Those of `jobs` that may begin now."""
        rows = await self._pool.fetch(sql.READY, *_keys(jobs)) if jobs else []
        found = {(row["scheduled_for"], row["task_id"]): row for row in rows}
        return [
            Asking(job, found[job.key]["has_waited"], found[job.key]["now"]) for job in jobs if job.key in found
        ]

    async def postpone(self, waits: Mapping[Job, Wait]) -> list[tuple[Job, float]]:
        """Let those that nobody else has wait; returns them with the seconds until they may be claimed."""
        if not waits:
            return []
        by_key = {job.key: job for job in waits}
        columns = zip(*((*job.key, *wait) for job, wait in waits.items()), strict=True)
        rows = await self._pool.fetch(sql.POSTPONE, *map(list, columns))
        metrics.CLAIMS_LOST.inc(sum(row["was_lost"] for row in rows))
        return [(by_key[row["scheduled_for"], row["task_id"]], row["wait_s"]) for row in rows]

    async def give_back(self, grants: Collection[Grant], wait_s: float) -> None:
        """Return claims that no POST began under, to be claimed again after `wait_s`.

        No retry is spent and no claim counts as lost.
        """
        jobs = [grant.job for grant in grants]
        await self._pool.execute(sql.GIVE_BACK, *_keys(jobs), [grant.seq for grant in grants], wait_s)

    async def _classify_losers(self, jobs: list[Job]) -> list[tuple[Job, float]]:
        """A claim's loser cannot see why in the same statement. What was granted is not to suffer for them."""
        try:
            return await self.classify(jobs)
        except CONNECTION_ERRORS as error:
            _log.warning("jobs.not_classified", jobs=len(jobs), kind=type(error).__name__)
            return [(job, AGAIN_S) for job in jobs]

    async def classify(self, jobs: list[Job]) -> list[tuple[Job, float]]:
        """Those of `jobs` that are to be claimed later, with the seconds until then; the others are done with."""
        if not jobs:
            return []
        rows = await self._pool.fetch(sql.CLASSIFY, *_keys(jobs))
        waits = {
            (row["scheduled_for"], row["task_id"]): row["wait_s"]
            for row in rows
            if row["state"] in ("due", "waiting")
        }
        not_due = [(job, max(0.0, waits[job.key])) for job in jobs if job.key in waits]
        if len(jobs) > len(not_due):
            metrics.JOBS_DROPPED.inc(len(jobs) - len(not_due))
            _log.info("jobs.dropped", jobs=len(jobs) - len(not_due), reason="done, or another sender has them")
        return not_due


def unique(jobs: Iterable[Job]) -> list[Job]:
    """Each execution once: the same key twice in one statement is an error."""
    return list({job.key: job for job in jobs}.values())


def _keys(jobs: Collection[Job]) -> tuple[list[datetime], list[UUID]]:
    """As two columns."""
    return [job.scheduled_for for job in jobs], [job.task_id for job in jobs]


def _tell(rows: Iterable[asyncpg.Record]) -> None:
    """Log and count what a claim did beside granting."""
    for row in rows:
        if row["state"] == "running" and row["was_lost"]:
            metrics.CLAIMS_LOST.inc()
        if row["state"] in metrics.ENDS:
            metrics.EXECUTIONS_ENDED.labels(row["state"]).inc()
            _log.info(
                f"execution.{row['state']}",
                execution_id=str(execution_id(row["task_id"], row["scheduled_for"])),
                task_id=str(row["task_id"]),
                scheduled_for=iso_utc(row["scheduled_for"]),
            )


def _job(row: asyncpg.Record) -> Job:
    return Job(row["task_id"], row["scheduled_for"], row["destination"])


def _grant(row: asyncpg.Record, deadline: float) -> Grant:
    return Grant(
        _job(row),
        row["seq"],
        row["failures"],
        row["max_retry"],
        row["webhook_url_sealed"],
        row["webhook_url_hash"],
        row["payload"],
        deadline,
        row["jitter_ms"],
    )
