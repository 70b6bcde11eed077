"""ADAPTER. Turns owed executions into rows, then announces them.

The watermark becomes an instant only with the last chunk of that instant; a crash between a row and its
announcement leaves a `due` row, which the sweeper announces.
"""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import chain, islice

import asyncpg
import structlog

from tocsin_common import failpoints
from tocsin_common.messages import Job, pack
from tocsin_common.settings import SchedulerSettings
from tocsin_dispatcher import sql
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.scheduler.catch_up import Missed, resolve
from tocsin_dispatcher.scheduler.heap import Span
from tocsin_dispatcher.scheduler.lease import Lease, LeaseLostError
from tocsin_dispatcher.scheduler.partitions import Partitions

SPANS_A_BATCH = 500

_log = structlog.get_logger(__name__)


class Emitter:
    """Emits for the holder of `lease` only."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        lease: Lease,
        clock: DatabaseClock,
        partitions: Partitions,
        publisher: Publisher,
        settings: SchedulerSettings,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._clock = clock
        self._partitions = partitions
        self._publisher = publisher
        self._settings = settings
        self._grace = timedelta(seconds=settings.catch_up_grace_s)

    async def emit(self, jobs: Iterable[Job], *, position: int, watermark: datetime | None = None) -> None:
        """Commit a row for each of `jobs` and announce them.

        With the last chunk the feed's position becomes `position` and the watermark, if given, `watermark`.
        Raises LeaseLostError where this process leads no more: then the chunk has left nothing behind.
        """
        total = 0
        for chunk, is_last in _chunks(jobs, self._settings.emission_chunk):
            await self._commit(chunk, watermark if is_last else None, position if is_last else 0)
            await self._announce(chunk)
            total += len(chunk)
            if not is_last:
                failpoints.reach("scheduler.chunk_announced")
        if total:
            failpoints.reach("scheduler.rows_announced")
            _log.info("executions.emitted", executions=total, watermark=watermark and watermark.isoformat())

    async def emit_spans(self, spans: Iterable[Span], *, decided_at: datetime, position: int) -> None:
        """Emit what of `spans` still fires as of `decided_at`, and a row for what is missed."""
        rest = iter(spans)
        while batch := list(islice(rest, SPANS_A_BATCH)):
            resolutions = []
            for span in batch:
                resolutions.append(resolve(span, decided_at=decided_at, grace=self._grace))
                await asyncio.sleep(0)  # cron arithmetic takes time, and the lease must be renewed meanwhile
            # What is missed comes first: whoever leads after a crash decides anew on late changes, and where the
            # newest that it does not fire has been fired already, the older ones would get no row any more.
            await self._record_missed([part.missed for part in resolutions if part.missed is not None])
            await self.emit((job for resolution in resolutions for job in resolution.fire), position=0)
        await self.emit([], position=position)

    async def freeze_gap(self, until: datetime) -> None:
        """Decide that what is owed up to `until` is caught up with as of `until`, by whoever leads."""
        self._lease.check()
        await self._holding(sql.FREEZE_GAP, until)

    async def close_gap(self) -> None:
        """The gap has been worked off: the watermark becomes its end."""
        self._lease.check()
        await self._holding(sql.CLOSE_GAP)

    async def _record_missed(self, missed: list[Missed]) -> None:
        if not missed:
            return
        self._lease.check()
        await self._partitions.cover({part.newest.date() for part in missed})
        await self._pool.execute(
            sql.RECORD_MISSED,
            self._lease.holder,
            self._lease.epoch,
            [part.newest for part in missed],
            [part.task_id for part in missed],
            [part.destination for part in missed],
            [part.oldest for part in missed],
            [part.total for part in missed],
        )
        _log.warning("executions.missed", tasks=len(missed))

    async def _holding(self, statement: str, *arguments: object) -> None:
        if not await self._pool.fetchval(statement, self._lease.holder, self._lease.epoch, *arguments):
            raise LeaseLostError("another scheduler took the lease")

    async def _announce(self, chunk: list[Job]) -> None:
        if chunk:
            failpoints.reach("scheduler.rows_committed")
            await self._publisher.insist(pack(chunk, self._settings.jobs_per_message))

    async def _commit(self, chunk: list[Job], watermark: datetime | None, position: int) -> None:
        if chunk:
            failpoints.reach("scheduler.rows_due")
        self._lease.check()
        await self._partitions.cover({job.scheduled_for.date() for job in chunk})
        row = await self._pool.fetchrow(
            sql.EMIT,
            self._lease.holder,
            self._lease.epoch,
            watermark,
            position,
            [job.scheduled_for for job in chunk],
            [job.task_id for job in chunk],
            [job.destination for job in chunk],
            timedelta(seconds=self._settings.give_up_after_s),
        )
        self._clock.sample(row["now"])
        if not row["held"]:
            raise LeaseLostError("another scheduler took the lease")


def _chunks(jobs: Iterable[Job], size: int) -> Iterator[tuple[list[Job], bool]]:
    """Chunks of at most `size`, each with whether it is the last; no jobs make one empty last chunk."""
    rest = iter(jobs)
    while True:
        chunk = list(islice(rest, size))
        following = list(islice(rest, 1))
        yield chunk, not following
        if not following:
            return
        rest = chain(following, rest)
