"""SHELL. What the leading scheduler does: follow the changes, emit what is due, sleep until the next."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog

from tocsin_common import failpoints
from tocsin_common.settings import SchedulerSettings
from tocsin_dispatcher.clock import DatabaseClock, boottime
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.scheduler.emitter import Emitter
from tocsin_dispatcher.scheduler.feed import Feed, is_copy
from tocsin_dispatcher.scheduler.heap import Heap
from tocsin_dispatcher.scheduler.lease import Lease, Standing
from tocsin_dispatcher.scheduler.revision import NOWHERE, TICK, Gap, Owed, join, split

_log = structlog.get_logger(__name__)


class Leader:
    """One process's leading, term by term."""

    def __init__(
        self,
        lease: Lease,
        feed: Feed,
        emitter: Emitter,
        publisher: Publisher,
        clock: DatabaseClock,
        wake: asyncio.Event,
        settings: SchedulerSettings,
    ) -> None:
        self._lease = lease
        self._feed = feed
        self._emitter = emitter
        self._publisher = publisher
        self._clock = clock
        self._wake = wake
        self._settings = settings
        self._mark_every = timedelta(seconds=settings.lease_renew_s)
        self._grace = timedelta(seconds=settings.catch_up_grace_s)
        # Not by the database's clock: that may be set back, and then nothing would be read until it has caught up.
        self._read_next = 0.0
        self._check_next = 0.0

    async def lead(self, standing: Standing, stop: asyncio.Event) -> None:
        """Lead until `stop`, beginning where the last leader's commits end; what is committed is announced."""
        self._emitter.begin_term()
        await self._feed.take_over(standing)
        heap = self._feed.heap
        self._lease.show(tasks=len(heap), schedules=heap.schedules)
        _log.info(
            "scheduler.leading",
            epoch=standing.epoch,
            tasks=len(heap),
            schedules=heap.schedules,
            watermark=standing.watermark.isoformat(),
        )
        self._read_next = boottime() + self._settings.feed_poll_s
        self._check_next = boottime() + self._settings.drift_check_s
        gap = self._inherited(standing)
        is_ours = standing.database_id == self._feed.database_id
        while not stop.is_set():
            while not await self._is_up_to_date():
                await self._read()
            if not self._feed.is_paused:
                await self._make_up(heap, gap)
                gap = None
                if not is_ours:
                    await self._emitter.adopt_position(self._feed.position, self._feed.database_id or "")
                    self._feed.adopted()
                    is_ours = True
                await self._emit_due(heap, stop)
                await self._mark(heap)
            await self._sleep(heap)
            await self._follow(heap)

    async def _follow(self, heap: Heap) -> None:
        """Take in what changed, where there is word of it or it is time to look."""
        if not self._has_news():
            return
        # Without the broker nothing is emitted and nothing is taken in: an outage of any part means the same.
        await self._publisher.ready()
        await self._read()
        if boottime() >= self._check_next:
            self._check_next = boottime() + self._settings.drift_check_s
            await self._feed.find_drift()

    async def _read(self) -> None:
        self._wake.clear()
        await self._feed.read()
        self._read_next = boottime() + self._settings.feed_poll_s  # however long that took

    def _has_news(self) -> bool:
        return self._wake.is_set() or boottime() >= self._read_next

    def _inherited(self, standing: Standing) -> Gap | None:
        if standing.gap_until is None:
            return None
        database_id, _, snapshot = (standing.gap_snapshot or "").rpartition(" ")
        # Transactions of another database say nothing.
        is_known = is_copy(database_id, self._feed.database_id)
        return Gap(standing.gap_until, snapshot if is_known else "")

    async def _make_up(self, heap: Heap, gap: Gap | None) -> None:
        """Emit what is owed outside the usual order: what changes seen late owe, and all that a gap left.

        What late changes owe of a gap hangs on its frozen decision too. Were it decided anew after a crash, fewer
        instants would be recent enough to fire, and a row that fired before would stand where the missed ones
        are to be recorded.
        """
        gap = gap or await self._freeze_gap(heap)
        if gap is None:
            late = heap.late(self._feed.unsettled)
        else:
            in_gap, late, frozen = heap.late_about(self._feed.unsettled, gap)
        while gap is not None:
            spans = join(in_gap, heap.gap(gap.until, frozen))
            await self._emitter.emit_spans(spans, decided_at=gap.until)
            failpoints.reach("scheduler.gap_emitted")
            await self._emitter.close_gap(NOWHERE if late else self._feed.position)
            heap.advance(gap.until)
            await self._feed.step()
            gap = await self._freeze_gap(heap)
            if gap is not None:
                (in_gap, late), frozen = split(late, gap.until), {}
        if late:
            await self._emitter.emit_spans(join(late), decided_at=self._clock.now(), position=self._feed.position)
        self._feed.settled()

    async def _freeze_gap(self, heap: Heap) -> Gap | None:
        """After an outage longer than the grace, decide once up to when it is caught up with."""
        if not self._is_behind(heap):
            return None
        await self._publisher.ready()
        now = self._clock.now()  # not before: the broker may have been away until now
        _log.warning("scheduler.catching_up", since=heap.watermark.isoformat(), until=now.isoformat())
        gap = Gap(now, self._feed.position.snapshot or "")
        await self._emitter.freeze_gap(now, f"{self._feed.database_id} {gap.snapshot}")
        failpoints.reach("scheduler.gap_frozen")
        return gap

    def _is_behind(self, heap: Heap) -> bool:
        return self._clock.now() - heap.watermark > self._grace

    async def _emit_due(self, heap: Heap, stop: asyncio.Event) -> None:
        """Until nothing is due any more, or there is news, or `stop`, or it has become a matter of catching up."""
        while (instant := heap.head()) is not None and instant <= self._clock.now():
            # Where the broker was away for long, each task's policy decides on what is so old.
            if not await self._is_up_to_date() or self._is_behind(heap):
                return
            if not await self._emit(heap.owed_at(instant), instant):
                return
            heap.advance(instant)
            await self._feed.step()
            if stop.is_set() or self._has_news():
                return

    async def _emit(self, owed: Iterable[Owed], watermark: datetime) -> bool:
        if await self._emitter.emit(owed, position=self._feed.position, watermark=watermark):
            self._feed.committed(self._feed.position)
            return True
        self._feed.is_paused = True  # before the feed has shown it
        return False

    async def _is_up_to_date(self) -> bool:
        """Whether the tasks were read lately. Waits for the broker in any case, and meanwhile they may change."""
        await self._publisher.ready()
        return boottime() < self._read_next + self._settings.feed_poll_s

    async def _mark(self, heap: Heap) -> None:
        """Now and then say how far nothing was owed."""
        now = self._clock.now()
        if now < heap.watermark + self._mark_every:
            return
        head = heap.head()
        idle_until = now if head is None else min(now, head - TICK)
        if idle_until > heap.watermark and await self._emit([], idle_until):
            heap.advance(idle_until)

    async def _sleep(self, heap: Heap) -> None:
        """Until something is due, a hint comes or it is time to look."""
        head = None if self._feed.is_paused else heap.head()
        self._lease.show(tasks=len(heap), schedules=heap.schedules, next_due_at=head)
        wait_s = min(self._read_next - boottime(), self._mark_every.total_seconds())
        if head is not None:
            wait_s = min(wait_s, (head - self._clock.now()).total_seconds())
        try:
            async with asyncio.timeout(max(0.0, wait_s)):
                await self._wake.wait()
        except TimeoutError:
            pass
