"""ADAPTER. Tells the schedulers through RabbitMQ that a task has a new revision.

A hint is sent by a task of its own, so no request waits for RabbitMQ: while a memory alarm blocks publishers,
each write would otherwise take HINT_TIMEOUT_S. A hint may be lost, since the schedulers read the feed anyway.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import uuid4

import structlog
from aio_pika import Message
from aio_pika.abc import AbstractExchange, AbstractRobustChannel, AbstractRobustConnection

from tocsin_common import broker, topology
from tocsin_common.identity import ANNOUNCES_CHANGES, process_name
from tocsin_common.messages import ScheduleChange, encode

MAX_PENDING = 1000  # hints under way; beyond that RabbitMQ is stuck and more would only pile up
CONNECT_RETRY_S = 2  # the schedulers read the feed as often, so nothing is gained by more haste

_log = structlog.get_logger(__name__)


class Hints:
    """Connects in the background for as long as that takes; the API serves without RabbitMQ."""

    def __init__(self, rabbitmq_url: str, *, timeout_s: float) -> None:
        self._url = rabbitmq_url
        self._timeout_s = timeout_s
        self._connection: AbstractRobustConnection | None = None
        self._channel: AbstractRobustChannel | None = None
        self._exchange: AbstractExchange | None = None
        self._pending: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._connecting = asyncio.create_task(self._connect())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connecting.cancel()
        await asyncio.gather(self._connecting, *self._pending, return_exceptions=True)
        if self._connection is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout_s):
                    await self._connection.close()

    @property
    def connected(self) -> bool:
        """Whether RabbitMQ would take a hint now."""
        if self._connection is None or self._channel is None or self._exchange is None:
            return False
        return self._connection.connected.is_set() and not self._channel.is_closed

    def announce(self, change: ScheduleChange) -> None:
        """Send the hint in the background; never raises."""
        if len(self._pending) >= MAX_PENDING:
            _log_loss(change, "too many hints are under way")
            return
        task = asyncio.create_task(self._send(change))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _send(self, change: ScheduleChange) -> None:
        if self._exchange is None or self._channel is None:
            _log_loss(change, "RabbitMQ was never connected")
            return
        # A fresh message id each: two publishes under way with one id would swap their confirms.
        message = Message(
            encode(change), content_type="application/json", message_id=uuid4().hex, app_id="tocsin-api"
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._channel.ready()  # RabbitMQ may be back in time
                await self._exchange.publish(message, routing_key="", mandatory=False)
        except broker.BROKER_ERRORS as error:
            _log_loss(change, repr(error))

    async def _connect(self) -> None:
        name = ANNOUNCES_CHANGES.name(process_name("api"))
        while self._exchange is None:
            try:
                self._connection = await broker.connect(
                    self._url, name=name, timeout_s=0, description=ANNOUNCES_CHANGES.description
                )
                self._channel = await self._connection.channel()
                self._exchange = await topology.declare_changes(self._channel)
            except Exception as error:  # the loop's edge: whatever it was, the next attempt may go better
                _log.warning("broker.unavailable", error=repr(error.__cause__ or error))
                await self._start_over()
        _log.info("broker.connected", name=name)

    async def _start_over(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
        await asyncio.sleep(CONNECT_RETRY_S)


def _log_loss(change: ScheduleChange, reason: str) -> None:
    _log.warning("hint.lost", task_id=str(change.task_id), revision=change.revision, reason=reason)
