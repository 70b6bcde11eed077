"""ADAPTER. Turns owed executions into rows, then announces them.

The watermark becomes an instant only with the last chunk of that instant; a crash between a row and its
announcement leaves a `due` row, which the sweeper announces. While a chunk is announced the next is committed.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import chain, islice

import asyncpg
import structlog

from tocsin_common import failpoints, topology
from tocsin_common.broker import BROKER_ERRORS
from tocsin_common.errors import TocsinError
from tocsin_common.messages import Job, pack
from tocsin_common.settings import SchedulerSettings
from tocsin_dispatcher import metrics
from tocsin_dispatcher.clock import DatabaseClock, boottime
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.scheduler import emission_sql
from tocsin_dispatcher.scheduler.catch_up import Missed, Terms, resolve
from tocsin_dispatcher.scheduler.lease import Lease, LeaseLostError
from tocsin_dispatcher.scheduler.partitions import Partitions
from tocsin_dispatcher.scheduler.revision import NOWHERE, TICK, Owed, Position, Span

SPANS_A_BATCH = 2000
SPANS_A_TURN = 20
FIRST_CHUNK = 300
"""Each chunk is up to twice the one before: the first rows wait for few others, and many need few statements."""

_log = structlog.get_logger(__name__)


class BrokenOffError(TocsinError):
    """Begin a new term: what was decided on before holds no more."""


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
        self._unannounced: list[list[Owed]] = []
        """What this emission has committed, chunk by chunk: two of them at most."""
        self._left: asyncio.Queue[list[Owed]] = asyncio.Queue()
        """What emissions that were broken off have committed and not announced."""

    def begin_term(self) -> None:
        """Rely on nothing that was found in earlier terms: the database may have been restored since."""
        self._partitions.forget()

    async def emit(
        self, owed: Iterable[Owed], *, position: Position = NOWHERE, watermark: datetime | None = None
    ) -> bool:
        """Commit a row for each of `owed` and announce them; False where nothing was, since all is paused.

        With the last chunk the feed's position becomes `position` and the watermark, if given, `watermark`.
        Raises LeaseLostError where this process leads no more: then the chunk has left nothing behind. Raises
        BrokenOffError where the rest is not to be emitted now.
        """
        total = 0
        announcing: asyncio.Task[None] | None = None
        # What is emitted without moving the watermark is late already: there few statements count, not the first.
        first = self._settings.emission_chunk if watermark is None else FIRST_CHUNK
        try:
            for chunk, is_last in _chunks(owed, self._settings.emission_chunk, first):
                is_committed = await self._commit(
                    chunk, watermark if is_last else None, position if is_last else NOWHERE
                )
                if announcing is not None:
                    await self._settled(announcing)
                if not is_committed:
                    if not total:
                        return False
                    raise _paused()
                announcing = asyncio.create_task(self._announce(chunk, is_last=is_last))
                total += len(chunk)
            if announcing is not None:
                await announcing
        finally:
            if announcing is not None:
                announcing.cancel()
            self._leave()
        if total:
            failpoints.reach("scheduler.rows_announced")
            _log.info("executions.emitted", executions=total, watermark=watermark and watermark.isoformat())
        return True

    async def announce_left(self) -> None:
        """Announce for ever what emissions of this process that were broken off have committed.

        This needs no lease: the rows are there. The sweeper, whoever leads by now, would come to it later.
        """
        while True:
            chunk = await self._left.get()
            try:
                await self._publish(chunk)
            except BROKER_ERRORS as error:
                _log.warning("jobs.left_to_the_sweeper", executions=len(chunk), error=repr(error))

    async def emit_spans(
        self, spans: Iterable[Span], *, decided_at: datetime, position: Position = NOWHERE
    ) -> None:
        """Emit what of `spans` still fires as of `decided_at`, and a row for what is missed."""
        grace = timedelta(seconds=self._settings.catch_up_grace_s)
        kept_from = self._partitions.kept_from(decided_at)
        terms = Terms(decided_at, grace, self._settings.catch_up_limit, kept_from)
        rest = iter(spans)
        beyond: list[tuple[datetime, datetime]] = []
        while batch := list(islice(rest, SPANS_A_BATCH)):
            resolutions = []
            for turn, span in enumerate(batch):
                resolutions.append(resolve(span, terms))
                if turn % SPANS_A_TURN == 0:
                    await asyncio.sleep(0)  # cron arithmetic takes time, and the lease must be renewed meanwhile
            beyond += [part.beyond for part in resolutions if part.beyond is not None]
            # What is missed comes first: whoever leads after a crash decides anew on late changes, and where the
            # newest that it does not fire has been fired already, the older ones would get no row any more.
            await self._record_missed([part.missed for part in resolutions if part.missed is not None])
            fire = list(chain.from_iterable(resolution.fire for resolution in resolutions))
            if fire and not await self.emit(fire):
                raise _paused()
        if not await self.emit([], position=position):
            raise _paused()
        if beyond:
            oldest, newest = min(beyond)[0].isoformat(), max(newest for _, newest in beyond).isoformat()
            _log.warning("executions.beyond_retention", tasks=len(beyond), oldest=oldest, newest=newest)

    async def adopt_position(self, position: Position, database_id: str) -> None:
        """From now on the lease's position is `position` in the database that is read."""
        self._lease.check()
        await self._holding(emission_sql.ADOPT_POSITION, *position, database_id)

    async def freeze_gap(self, until: datetime, snapshot: str) -> None:
        """Decide that what is owed up to `until` is caught up with as of `until`, by whoever leads.

        `snapshot`: on the tasks as it shows them, with the database that it is of.
        """
        self._lease.check()
        await self._holding(emission_sql.FREEZE_GAP, until, snapshot, self._lease.database_id)

    async def close_gap(self, position: Position) -> None:
        """The gap has been worked off: the watermark becomes its end, and the feed's position `position`."""
        self._lease.check()
        await self._holding(emission_sql.CLOSE_GAP, self._lease.database_id, *position)

    async def _record_missed(self, missed: list[Missed]) -> None:
        if not missed:
            return
        self._lease.check()
        await self._partitions.cover(
            {instant.date() for part in missed for instant in (part.newest - TICK, part.newest)}
        )
        columns = zip(*missed, strict=True)  # in the order of the statement's arguments
        rows = await self._pool.fetch(
            emission_sql.RECORD_MISSED,
            self._lease.holder,
            self._lease.epoch,
            *map(list, columns),
            self._lease.database_id,
        )
        metrics.EXECUTIONS_MISSED.inc(len(rows))
        _log.warning("executions.missed", tasks=len(rows))

    async def _holding(self, statement: str, *arguments: object) -> None:
        if not await self._pool.fetchval(statement, self._lease.holder, self._lease.epoch, *arguments):
            raise LeaseLostError("another scheduler took the lease")

    async def _settled(self, announcing: asyncio.Task[None]) -> None:
        before = boottime()
        await announcing
        if boottime() - before > self._settings.catch_up_grace_s:
            # What is left of these executions is caught up with, like all that became due in the meantime.
            raise BrokenOffError("the broker was away in the middle of an emission")

    async def _announce(self, chunk: list[Owed], *, is_last: bool) -> None:
        if not chunk:
            return
        failpoints.reach("scheduler.rows_committed")
        await self._publish(chunk)
        self._unannounced.remove(chunk)
        if not is_last:
            failpoints.reach("scheduler.chunk_announced")

    async def _publish(self, chunk: list[Owed]) -> None:
        by_queue: dict[str, list[Job]] = defaultdict(list)
        now = self._clock.now()
        for owed in chunk:
            by_queue[_queue(owed, now)].append(owed.job)
        for queue, jobs in by_queue.items():
            await self._publisher.insist(pack(jobs, self._settings.jobs_per_message), queue)

    def _leave(self) -> None:
        for chunk in self._unannounced:
            self._left.put_nowait(chunk)
        self._unannounced = []

    async def _commit(self, chunk: list[Owed], watermark: datetime | None, position: Position) -> bool:
        """Returns whether it was done: not while all schedules are paused."""
        if chunk:
            failpoints.reach("scheduler.rows_due")
        self._lease.check()
        await self._partitions.cover({owed.job.scheduled_for.date() for owed in chunk})
        sent_at = boottime()
        row = await self._pool.fetchrow(
            emission_sql.EMIT,
            self._lease.holder,
            self._lease.epoch,
            watermark,
            position.xid,
            [owed.job.scheduled_for for owed in chunk],
            [owed.job.task_id for owed in chunk],
            [owed.job.destination for owed in chunk],
            [owed.kind for owed in chunk],
            [owed.jitter_ms for owed in chunk],
            timedelta(seconds=self._settings.give_up_after_s),
            self._lease.database_id,
            position.snapshot,
        )
        self._clock.sample(row["now"], sent_at=sent_at)
        if not row["held"]:
            raise LeaseLostError("another scheduler took the lease")
        metrics.EXECUTIONS_EMITTED.inc(row["emitted"])
        _count_lateness(chunk, row["emitted"], row["now"])
        if chunk and not row["is_paused"]:
            self._unannounced.append(chunk)
        return not row["is_paused"]


def _count_lateness(chunk: list[Owed], emitted: int, now: datetime) -> None:
    """Of the rows that are new: where some were there before, that is known only if all are of one instant."""
    rows = Counter(owed.job.scheduled_for for owed in chunk)
    if len(rows) == 1:
        rows = Counter(dict.fromkeys(rows, emitted))
    elif emitted < len(chunk):
        return
    for instant, number in rows.items():
        metrics.EMISSION_LATENESS.observe((now - instant) / timedelta(seconds=1), times=number)


def _queue(owed: Owed, now: datetime) -> str:
    """Where to announce it. What has less to wait than the smallest tier is held by a sender."""
    if not owed.jitter_ms:
        return topology.WORK_QUEUE
    starts_at = owed.job.scheduled_for + timedelta(milliseconds=owed.jitter_ms)
    tier = topology.tier_for((starts_at - now).total_seconds())
    return topology.WORK_QUEUE if tier is None else topology.tier_queue(tier)


def _paused() -> BrokenOffError:
    return BrokenOffError("all schedules were paused in the middle of an emission")


def _chunks(owed: Iterable[Owed], size: int, first: int) -> Iterator[tuple[list[Owed], bool]]:
    """Chunks of at most `size`, each with whether it is the last; the first is of at most `first`.

    Nothing owed makes one empty last chunk.
    """
    rest = iter(owed)
    now = min(size, first)
    while True:
        chunk = list(islice(rest, now))
        following = list(islice(rest, 1))
        yield chunk, not following
        if not following:
            return
        rest = chain(following, rest)
        now = min(size, 2 * now)
