"""SHELL. What the leading scheduler does: follow the changes, emit what is due, sleep until the next."""

import asyncio
from datetime import datetime, timedelta
from itertools import chain

import structlog

from tocsin_common import failpoints
from tocsin_common.settings import SchedulerSettings
from tocsin_dispatcher.clock import DatabaseClock, boottime
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.scheduler.emitter import Emitter
from tocsin_dispatcher.scheduler.feed import Feed
from tocsin_dispatcher.scheduler.heap import TICK, Heap, Span, split
from tocsin_dispatcher.scheduler.lease import Standing

_log = structlog.get_logger(__name__)


class Leader:
    """One process's leading, term by term."""

    def __init__(
        self,
        feed: Feed,
        emitter: Emitter,
        publisher: Publisher,
        clock: DatabaseClock,
        wake: asyncio.Event,
        settings: SchedulerSettings,
    ) -> None:
        self._feed = feed
        self._emitter = emitter
        self._publisher = publisher
        self._clock = clock
        self._wake = wake
        self._settings = settings
        self._mark_every = timedelta(seconds=settings.lease_renew_s)
        self._grace = timedelta(seconds=settings.catch_up_grace_s)

    async def lead(self, standing: Standing, stop: asyncio.Event) -> None:
        """Lead until `stop`, beginning where the last leader's commits end; what is committed is announced."""
        heap, late = await self._feed.load(standing)
        _log.info(
            "scheduler.leading", epoch=standing.epoch, tasks=len(heap), watermark=standing.watermark.isoformat()
        )
        await self._publisher.ready()
        await self._make_up(heap, late, standing.gap_until)
        # Not by the database's clock: that may be set back, and then nothing would be read until it has caught up.
        read_next = boottime() + self._settings.feed_poll_s
        while not stop.is_set():
            late = []
            if self._wake.is_set() or boottime() >= read_next:
                read_next = boottime() + self._settings.feed_poll_s
                late = await self._follow(heap)
            await self._make_up(heap, late)
            await self._emit_due(heap)
            await self._mark(heap)
            await self._sleep(heap, read_next - boottime())

    async def _follow(self, heap: Heap) -> list[Span]:
        """Take in what changed; returns what that makes owed outside the usual order."""
        self._wake.clear()
        # Without the broker nothing is emitted and nothing is taken in: an outage of any part means the same.
        await self._publisher.ready()
        return await self._feed.read(heap)

    async def _make_up(self, heap: Heap, late: list[Span], gap_until: datetime | None = None) -> None:
        """Emit what is owed outside the usual order: what changes seen late owe, and all that a gap left.

        What late changes owe of a gap hangs on its frozen decision too. Were it decided anew after a crash, fewer
        instants would be recent enough to fire, and a row that fired before would stand where the missed ones
        are to be recorded.
        """
        gap_until = gap_until or await self._freeze_gap(heap)
        while gap_until is not None:
            in_gap, late = split(late, gap_until)
            spans = chain(in_gap, heap.gap(gap_until))
            await self._emitter.emit_spans(spans, decided_at=gap_until, position=0)
            failpoints.reach("scheduler.gap_emitted")
            await self._emitter.close_gap()
            heap.skip_to(gap_until)
            gap_until = await self._freeze_gap(heap)
        if late:
            await self._emitter.emit_spans(late, decided_at=self._clock.now(), position=self._feed.position)

    async def _freeze_gap(self, heap: Heap) -> datetime | None:
        """After an outage longer than the grace, decide once up to when it is caught up with."""
        now = self._clock.now()
        if now - heap.watermark <= self._grace:
            return None
        await self._publisher.ready()
        _log.warning("scheduler.catching_up", since=heap.watermark.isoformat(), until=now.isoformat())
        await self._emitter.freeze_gap(now)
        failpoints.reach("scheduler.gap_frozen")
        return now

    async def _emit_due(self, heap: Heap) -> None:
        while (instant := heap.head()) is not None and instant <= self._clock.now():
            await self._publisher.ready()
            await self._emitter.emit(heap.jobs_at(instant), position=self._feed.position, watermark=instant)
            heap.advance(instant)

    async def _mark(self, heap: Heap) -> None:
        """Now and then say how far nothing was owed."""
        now = self._clock.now()
        if now < heap.watermark + self._mark_every:
            return
        head = heap.head()
        idle_until = now if head is None else min(now, head - TICK)
        if idle_until > heap.watermark:
            await self._emitter.emit([], position=self._feed.position, watermark=idle_until)
            heap.advance(idle_until)

    async def _sleep(self, heap: Heap, most_s: float) -> None:
        """Until something is due or a hint comes, at most `most_s`."""
        wait_s = min(most_s, self._mark_every.total_seconds())
        head = heap.head()
        if head is not None:
            wait_s = min(wait_s, (head - self._clock.now()).total_seconds())
        try:
            async with asyncio.timeout(max(0.0, wait_s)):
                await self._wake.wait()
        except TimeoutError:
            pass
