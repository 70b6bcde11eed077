"""ADAPTER. Tells through RabbitMQ what the api has committed: changes to the schedulers, jobs to the senders.

A hint is sent by a task of its own, so no request waits for RabbitMQ: while a memory alarm blocks publishers,
each write would otherwise take HINT_TIMEOUT_S. A hint may be lost: the schedulers read the feed anyway, and the
sweeper announces again what nobody took.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self
from uuid import uuid4

import structlog
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractExchange, AbstractRobustChannel, AbstractRobustConnection

from tocsin_api import metrics
from tocsin_common import broker, topology
from tocsin_common.errors import UnavailableError
from tocsin_common.identity import ANNOUNCES_CHANGES, process_name
from tocsin_common.messages import Job, JobMessage, ScheduleChange, encode, iso_utc, pack

ANSWER_TIMEOUT_S = 10  # of RabbitMQ, where a hint got none: longer than it takes to be slow
MAX_PENDING = 1000  # hints under way; beyond that RabbitMQ is stuck and more would only pile up
CONNECT_RETRY_S = 2  # the schedulers read the feed as often, so nothing is gained by more haste

_log = structlog.get_logger(__name__)


class _Line(NamedTuple):
    """A channel for one exchange alone: an error on a channel takes down all else that is published on it."""

    channel: AbstractRobustChannel
    exchange: AbstractExchange


class _Hint(NamedTuple):
    line: str
    routing_key: str
    message: Message
    facts: Mapping[str, object]
    """What the log says of one that is lost; of several jobs, what the first is."""


class Hints:
    """Connects in the background for as long as that takes; the API serves without RabbitMQ."""

    def __init__(self, rabbitmq_url: str, *, timeout_s: float, heartbeat_s: int) -> None:
        self._url = rabbitmq_url
        self._timeout_s = timeout_s
        self._heartbeat_s = heartbeat_s
        self._connection: AbstractRobustConnection | None = None
        self._lines: dict[str, _Line] = {}
        self._pending: set[asyncio.Task[None]] = set()
        self._checking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._connecting = asyncio.create_task(self._connect())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        mine = [task for task in (self._connecting, self._checking) if task is not None]
        for task in mine:
            task.cancel()
        await asyncio.gather(*mine, *self._pending, return_exceptions=True)
        await self._close()

    @property
    def connected(self) -> bool:
        """Whether RabbitMQ would take the hint of a change now."""
        line = self._lines.get(topology.CHANGES_EXCHANGE)
        if self._connection is None or line is None:
            return False
        return self._connection.connected.is_set() and not line.channel.is_closed

    def announce(self, change: ScheduleChange) -> None:
        """Send the hint of a change in the background; never raises."""
        message = _message(encode(change))
        facts = {"task_id": str(change.task_id), "revision": change.revision}
        self._send_soon(_Hint(topology.CHANGES_EXCHANGE, "", message, facts))

    def announce_jobs(self, waiting: Iterable[tuple[Job, float]]) -> None:
        """Send the senders jobs in the background, each with the seconds until it is due; never raises."""
        by_queue: dict[str, list[Job]] = defaultdict(list)
        for job, wait_s in waiting:
            tier = topology.tier_for(wait_s)
            by_queue[topology.WORK_QUEUE if tier is None else topology.tier_queue(tier)].append(job)
        for queue, jobs in by_queue.items():
            for packed in pack(jobs):
                self._send_soon(_announcement(packed, queue))

    def _send_soon(self, hint: _Hint) -> None:
        if len(self._pending) >= MAX_PENDING:
            _log_loss(hint, "too many hints are under way")
            return
        task = asyncio.create_task(self._send(hint))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _send(self, hint: _Hint) -> None:
        line = self._lines.get(hint.line)
        if line is None:
            _log_loss(hint, "RabbitMQ was never connected")
            return
        try:
            async with broker.call(self._timeout_s):
                await line.channel.ready()  # RabbitMQ may be back in time
                # A hint of a change without a scheduler is nobody's; a job without the work queue is lost.
                mandatory = hint.line == topology.JOBS_EXCHANGE
                await line.exchange.publish(hint.message, routing_key=hint.routing_key, mandatory=mandatory)
        except broker.BROKER_ERRORS as error:
            _log_loss(hint, repr(error))
            if isinstance(error, TimeoutError):
                self._check_soon()

    def _check_soon(self) -> None:
        """Whether RabbitMQ answers at all on this connection."""
        if self._connection is not None and (self._checking is None or self._checking.done()):
            self._checking = asyncio.create_task(broker.ensure_heard(self._connection, ANSWER_TIMEOUT_S))

    async def _connect(self) -> None:
        name = ANNOUNCES_CHANGES.name(process_name("api"))
        while not self._lines:
            try:
                self._connection = await broker.connect(
                    self._url,
                    name=name,
                    timeout_s=0,
                    description=ANNOUNCES_CHANGES.description,
                    heartbeat_s=self._heartbeat_s,
                )
                self._lines = await self._open_lines(self._connection)
            except Exception as error:  # the loop's edge: whatever it was, the next attempt may go better
                cause = error.__cause__ if isinstance(error, UnavailableError) else error
                _log.warning("broker.unavailable", error=repr(cause))
                await self._start_over()
        _log.info("broker.connected", name=name)

    async def _open_lines(self, connection: AbstractRobustConnection) -> dict[str, _Line]:
        """The queue of jobs is the dispatcher's to declare: until it has, they come back as unroutable."""
        async with broker.call():
            for_changes = await connection.channel()
            for_jobs = await connection.channel(on_return_raises=True)
            return {
                topology.CHANGES_EXCHANGE: _Line(for_changes, await topology.declare_changes(for_changes)),
                topology.JOBS_EXCHANGE: _Line(for_jobs, await topology.declare_jobs_exchange(for_jobs)),
            }

    async def _start_over(self) -> None:
        await self._close()
        self._connection = None
        await asyncio.sleep(CONNECT_RETRY_S)

    async def _close(self) -> None:
        if self._connection is not None:
            with suppress(*broker.BROKER_ERRORS):  # it is given up in any case
                async with broker.call(self._timeout_s):
                    await self._connection.close()


def _announcement(jobs: JobMessage, queue: str) -> _Hint:
    first = min(jobs.jobs, key=lambda job: job.scheduled_for)
    message = _message(encode(jobs))
    message.delivery_mode = DeliveryMode.PERSISTENT
    message.headers = {"jobs": len(jobs.jobs), "scheduled-for": iso_utc(first.scheduled_for)}
    facts = {"task_id": str(first.task_id), "scheduled_for": iso_utc(first.scheduled_for), "jobs": len(jobs.jobs)}
    return _Hint(topology.JOBS_EXCHANGE, queue, message, facts)


def _message(body: bytes) -> Message:
    # A fresh message id each: two publishes under way with one id would swap their confirms.
    return Message(body, content_type="application/json", message_id=uuid4().hex, app_id="tocsin-api")


def _log_loss(hint: _Hint, reason: str) -> None:
    metrics.HINTS_LOST.inc()
    _log.warning("hint.lost", **hint.facts, reason=reason)
