"""SHELL. The composition root of the role `send`: builds everything, delivers until it is told to stop, drains."""

import asyncio
import gc
import resource
import socket
from contextlib import AsyncExitStack
from importlib.metadata import version

import aiohttp
import asyncpg
import structlog

from tocsin_common import http, keys
from tocsin_common.identity import PARKS_RETRIES, TAKES_JOBS, process_name
from tocsin_common.settings import SenderSettings
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.connections import Connections, connect, unless_stopped
from tocsin_dispatcher.health import Health
from tocsin_dispatcher.loops import until
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.sender import gauges, intake
from tocsin_dispatcher.sender.backoff import Backoff
from tocsin_dispatcher.sender.budget import Rules
from tocsin_dispatcher.sender.claim import Claims
from tocsin_dispatcher.sender.crowd import Crowd
from tocsin_dispatcher.sender.delivery import Deliveries
from tocsin_dispatcher.sender.destinations import Destinations
from tocsin_dispatcher.sender.egress import Egress
from tocsin_dispatcher.sender.gate import Gate
from tocsin_dispatcher.sender.inbox import Delivery, Inbox
from tocsin_dispatcher.sender.intake import Intake
from tocsin_dispatcher.sender.post import Poster
from tocsin_dispatcher.sender.record import Recorder
from tocsin_dispatcher.sender.room import Breaker
from tocsin_dispatcher.sender.slots import Slots
from tocsin_dispatcher.sender.starts import Starts
from tocsin_dispatcher.sender.tiers import Waits

PUBLISH_WINDOW = 100
GC_THRESHOLDS = (50_000, 50, 100)
"""Nearly nothing here is garbage in circles: with Python's own, looking for it took a sixth of the time."""
PROBE_MARGIN_S = 2  # from a probe's claim to its POST, and from its answer to what all senders know

_log = structlog.get_logger(__name__)


async def run(settings: SenderSettings, stop: asyncio.Event, health: Health | None = None) -> None:
    """Deliver until `stop`, then finish what has begun."""
    gc.set_threshold(*GC_THRESHOLDS)
    _allow_many_sockets()
    name = process_name("sender")
    sealer = keys.load_sealer(settings.sealing_keys)
    connecting = connect(settings, name=name, consuming=TAKES_JOBS, publishing=PARKS_RETRIES)
    async with AsyncExitStack() as stack, _open_session(settings) as session:
        connections = await unless_stopped(stack.enter_async_context(connecting), stop)
        if connections is None:
            return
        if health is not None:
            health.connections = connections
        keys.show(sealer)
        clock = DatabaseClock()
        clock.sample(await connections.pool.fetchval("SELECT clock_timestamp()"))
        poster = Poster(
            session,
            sealer,
            clock,
            timeout_s=settings.post_timeout_s,
            allowed_hosts=settings.webhook_hosts,
            allow_local=settings.allow_local_webhooks,
        )
        await _deliver(settings, connections, clock, poster, name, stop)


def _allow_many_sockets() -> None:
    """As many as this process may have: connections to receivers stay open for a while, each to another one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError) as error:
        _log.warning("sockets.limited", error=repr(error))


def _open_session(settings: SenderSettings) -> aiohttp.ClientSession:
    return http.open_session(
        allow_local=settings.allow_local_webhooks,
        user_agent=f"DiscordBot ({settings.contact_url}, {version('tocsin-dispatcher')})",
        connections=settings.post_slots,
    )


async def _deliver(
    settings: SenderSettings,
    connections: Connections,
    clock: DatabaseClock,
    poster: Poster,
    name: str,
    stop: asyncio.Event,
) -> None:
    pool, inbox = connections.pool, Inbox()
    publisher = await Publisher.open(
        connections.publishing, window=PUBLISH_WINDOW, timeout_s=settings.publish_timeout_s
    )
    waits = Waits(
        inbox,
        publisher,
        most_in_memory=settings.memory_waits,
        briefly_s=settings.memory_wait_s,
        at_once=PUBLISH_WINDOW,
    )
    crowd = _crowd(settings, inbox)
    slots, destinations = Slots(settings.post_slots), Destinations(pool, breaker=_breaker(settings))
    gate = Gate(
        slots,
        crowd,
        destinations,
        _egress(settings, pool),
        Claims(pool, clock, sender=name, ttl_s=settings.claim_ttl_s),
    )
    recorder = _recorder(settings, pool)
    gauges.show(slots, crowd, waits, recorder, destinations, clock)
    starts = Starts(slots)
    deliveries = Deliveries(
        pool, gate, starts, poster, recorder, waits, publisher, auto_disable_after=settings.auto_disable_after
    )
    queues = await intake.open_queues(connections.consuming, prefetch=settings.prefetch, tag=TAKES_JOBS.name(name))
    sender = Intake(pool, queues, inbox, gate, starts, waits, recorder, deliveries, publisher)
    await _deliver_until(stop, sender, inbox, recorder, settings.drain_timeout_s)
    await waits.hand_over(crowd.take_all())


def _crowd(settings: SenderSettings, inbox: Inbox) -> Crowd:
    return Crowd(
        most_each=settings.in_flight_per_destination,
        most_waiting=settings.memory_waits,
        bring_back=lambda job: inbox.put(Delivery([job], None)),
    )


def _egress(settings: SenderSettings, pool: asyncpg.Pool) -> Egress:
    return Egress(
        pool,
        group=settings.egress_group or socket.gethostname(),
        rules=Rules(settings.discord_posts_per_s, settings.discord_invalid_answers),
    )


def _recorder(settings: SenderSettings, pool: asyncpg.Pool) -> Recorder:
    backoff = Backoff(settings.retry_first_s, settings.retry_most_s, settings.retry_jitter)
    return Recorder(pool, backoff, batch=settings.record_batch, delay_s=settings.record_delay_s)


def _breaker(settings: SenderSettings) -> Breaker:
    return Breaker(
        settings.breaker_failures,
        settings.breaker_first_s,
        settings.breaker_most_s,
        probe_s=settings.post_timeout_s + PROBE_MARGIN_S,
    )


async def _deliver_until(
    stop: asyncio.Event, sender: Intake, inbox: Inbox, recorder: Recorder, drain_timeout_s: float
) -> None:
    async with asyncio.TaskGroup() as loops:
        recording = loops.create_task(recorder.run(), name="recording")
        claiming = loops.create_task(sender.run(), name="claiming")
        starting = loops.create_task(sender.start_posts(), name="starting")
        await sender.consume()
        await until(stop, recording, claiming, starting)
        _log.info("sender.draining")
        await sender.stop_consuming()
        inbox.close()
        await sender.drain(claiming, drain_timeout_s)
        starting.cancel()
        recording.cancel()
