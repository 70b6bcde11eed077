"""SHELL. The composition root of the role `schedule`: builds everything, leads whenever it may."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any
from uuid import uuid4

import structlog

from tocsin_common.broker import BROKER_ERRORS
from tocsin_common.database import CONNECTION_ERRORS
from tocsin_common.identity import ANNOUNCES_JOBS, HEARS_CHANGES, process_name
from tocsin_common.settings import SchedulerSettings
from tocsin_dispatcher import metrics
from tocsin_dispatcher.clock import DatabaseClock, boottime
from tocsin_dispatcher.connections import Connections, connect, unless_stopped
from tocsin_dispatcher.health import Health
from tocsin_dispatcher.loops import until
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.scheduler import gauges, hints, reach
from tocsin_dispatcher.scheduler.emitter import BrokenOffError, Emitter
from tocsin_dispatcher.scheduler.feed import DatabaseChangedError, Feed
from tocsin_dispatcher.scheduler.leader import Leader
from tocsin_dispatcher.scheduler.lease import Lease, LeaseLostError, Standing
from tocsin_dispatcher.scheduler.partitions import OutsidePartitionsError, Partitions, Retention
from tocsin_dispatcher.scheduler.reach import CutOffError, NeverReachedError
from tocsin_dispatcher.scheduler.remover import Remover
from tocsin_dispatcher.scheduler.sampler import Sampler
from tocsin_dispatcher.scheduler.sweeper import Sweeper

RELEASE_TIMEOUT_S = 1

Loop = Callable[[], Coroutine[Any, Any, None]]
"""What runs beside the leader for as long as its term lasts, under a name."""

_log = structlog.get_logger(__name__)


async def run(settings: SchedulerSettings, stop: asyncio.Event, health: Health | None = None) -> None:
    """Stand by and lead until `stop`; then the lease is released."""
    name = process_name("scheduler")
    connecting = connect(settings, name=name, consuming=HEARS_CHANGES, publishing=ANNOUNCES_JOBS)
    async with AsyncExitStack() as stack:
        connections = await unless_stopped(stack.enter_async_context(connecting), stop)
        if connections is None:
            return
        if health is not None:
            health.connections = connections
        await serve(settings, connections, name, stop)


async def serve(settings: SchedulerSettings, connections: Connections, name: str, stop: asyncio.Event) -> None:
    """Do all of that with what `name` is connected to."""
    wake = asyncio.Event()
    await hints.listen(connections.consuming, wake, process=name)
    scheduler = await _build(settings, connections, name, wake)
    _log.info("scheduler.started", holder=scheduler.lease.holder)
    async with asyncio.TaskGroup() as group:
        turns = group.create_task(scheduler.take_turns(stop), name="taking turns")
        rest = group.create_task(scheduler.announce_left(), name="announcing what is left")
        await until(stop, turns, rest)
        rest.cancel()
        wake.set()
        await asyncio.wait({turns}, timeout=settings.drain_timeout_s)
        turns.cancel()
        _, unfinished = await asyncio.wait({turns}, timeout=2 * RELEASE_TIMEOUT_S)
        if unfinished:
            connections.pool.terminate()  # a cancelled statement waits for the server, which may be frozen


async def _build(
    settings: SchedulerSettings, connections: Connections, name: str, wake: asyncio.Event
) -> "Scheduler":
    pool, clock = connections.pool, DatabaseClock()
    publisher = await Publisher.open(
        connections.publishing, window=settings.publish_window, timeout_s=settings.publish_timeout_s
    )
    lease = Lease(
        pool,
        clock,
        holder=f"{name}/{uuid4().hex[:8]}",
        ttl_s=settings.lease_ttl_s,
        renew_s=settings.lease_renew_s,
        hold_s=settings.lease_hold_s,
        reboot_after_s=settings.reboot_after_s,
    )
    partitions = Partitions(pool, Retention(clock, settings.log_retention_days))
    emitter = Emitter(pool, lease, clock, partitions, publisher, settings)
    feed = Feed(pool, clock)
    leader = Leader(lease, feed, emitter, publisher, clock, wake, settings)
    sweeper = Sweeper(pool, lease, partitions, publisher, settings)
    keep_ahead = partial(partitions.keep_ahead, clock, settings.partition_days_ahead)
    beside: dict[str, Loop] = {
        "renewing the lease": lease.keep,
        "looking for RabbitMQ": partial(reach.yield_when_cut_off, connections.publishing.connected),
        "sweeping": sweeper.run,
        "making partitions": keep_ahead,
        "removing deleted tasks": Remover(pool).run,
    }
    if settings.metrics_port:
        beside["sampling metrics"] = Sampler(pool, interval_s=settings.metrics_sample_s).run
    gauges.show(lease, feed, clock)
    connected = connections.publishing.connected
    return Scheduler(lease, feed, leader, emitter.announce_left, beside, wake, connected, settings)


class Scheduler:
    """One process: it leads whenever it may, and else it stands by."""

    def __init__(
        self,
        lease: Lease,
        feed: Feed,
        leader: Leader,
        announce_left: Loop,
        beside: Mapping[str, Loop],
        wake: asyncio.Event,
        connected: asyncio.Event,
        settings: SchedulerSettings,
    ) -> None:
        self.lease = lease
        self._feed = feed
        self._leader = leader
        self.announce_left = announce_left
        self._beside = beside
        self._wake = wake
        self._connected = connected
        self._settings = settings
        self._read_next = 0.0
        self._is_cut_off = False

    async def take_turns(self, stop: asyncio.Event) -> None:
        """Lead and stand by until `stop`."""
        while not stop.is_set():
            standing = await self._try_for_the_lease(stop)
            if standing is not None:
                await self._serve_a_term(standing, stop)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.standby_poll_s):
                    await stop.wait()

    async def _try_for_the_lease(self, stop: asyncio.Event) -> Standing | None:
        try:
            await self._stand_by(stop)
            free_for_s = reach.free_for_s(self._connected, self._settings)
            standing = None if stop.is_set() else await self.lease.take(free_for_s=free_for_s)
        except (*CONNECTION_ERRORS, DatabaseChangedError) as error:
            if not self._is_cut_off:
                _log.warning("database.unavailable", error=repr(error))
            self._is_cut_off = True
            return None
        self._is_cut_off = False
        return standing

    async def _stand_by(self, stop: asyncio.Event) -> None:
        """Know the tasks, so that leading can begin at once."""
        if self._feed.database_id is None:
            await unless_stopped(self._feed.load(), stop)
            self._read_next = boottime() + self._settings.feed_poll_s
        elif self._wake.is_set() or boottime() >= self._read_next:
            self._wake.clear()
            self._read_next = boottime() + self._settings.feed_poll_s
            await self._feed.follow()

    async def _serve_a_term(self, standing: Standing, stop: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as term:
                leading = term.create_task(self._leader.lead(standing, stop), name="leading")
                others = [term.create_task(loop(), name=name) for name, loop in self._beside.items()]
                await until(stop, leading, *others)
                await asyncio.wait({leading})  # which finishes its instant
                for task in others:
                    task.cancel()
        except* NeverReachedError as group:  # not counted: nothing was emitted, and it comes every half minute
            _log_end(str(group.exceptions[0]))
        except* (
            LeaseLostError,
            DatabaseChangedError,
            BrokenOffError,
            CutOffError,
            OutsidePartitionsError,
        ) as group:
            metrics.STEP_DOWNS.inc()
            _log_end(str(group.exceptions[0]))
        except* (*CONNECTION_ERRORS, *BROKER_ERRORS) as group:
            metrics.STEP_DOWNS.inc()
            _log_end(repr(group.exceptions[0]))
        finally:
            await _release(self.lease)


def _log_end(reason: str) -> None:
    _log.warning("scheduler.stepped_down", reason=reason)


async def _release(lease: Lease) -> None:
    """However a term ends, the next scheduler need not wait; if the database is away, the lease expires."""
    with suppress(*CONNECTION_ERRORS):
        async with asyncio.timeout(RELEASE_TIMEOUT_S):
            if await lease.release():
                _log.info("lease.released", epoch=lease.epoch)
