"""ADAPTER. Publishes jobs with mandatory routing and confirms."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import uuid4

import aio_pika
import structlog
from aio_pika.abc import AbstractExchange, AbstractRobustChannel, AbstractRobustConnection, HeadersType

from tocsin_common import broker, topology
from tocsin_common.broker import BROKER_ERRORS
from tocsin_common.messages import Job, JobMessage, encode, execution_id, iso_utc
from tocsin_dispatcher import metrics

RETRY_S = 0.2
PATIENT_RETRY_S = 2  # nobody waits for it

_log = structlog.get_logger(__name__)


class Publisher:
    """A channel of its own: an error on a publishing channel takes down everything else on it."""

    def __init__(
        self,
        connection: AbstractRobustConnection,
        channel: AbstractRobustChannel,
        asking: AbstractRobustChannel,
        exchange: AbstractExchange,
        *,
        window: int,
        timeout_s: float,
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._asking = asking
        self._exchange = exchange
        self._window = asyncio.Semaphore(window)
        self._timeout_s = timeout_s

    @classmethod
    async def open(cls, connection: AbstractRobustConnection, *, window: int, timeout_s: float) -> "Publisher":
        """Declares the topology, so that nothing is ever published into a void."""
        # Without on_return_raises an unroutable publish counts as done.
        channel = connection.channel(publisher_confirms=True, on_return_raises=True)
        async with broker.call():
            await channel.initialize()
            exchange, _ = await topology.declare_jobs(channel)
            asking = connection.channel()
            await asking.initialize()
        return cls(connection, channel, asking, exchange, window=window, timeout_s=timeout_s)

    async def ready(self) -> None:
        """Returns once the broker can be published to."""
        async with broker.call():
            await self._channel.ready()

    async def depth(self, queue: str) -> int:
        """How many messages wait in `queue`, as the broker says now."""
        # A channel for this alone, since a missing queue closes it, and always the same one, since each leaves
        # something behind in its connection. The plain channel below the robust one is asked: that would answer
        # from its cache.
        async with broker.call(self._timeout_s):
            plain = await self._asking.get_underlay_channel()
            answer = await plain.queue_declare(queue, passive=True)
        return answer.message_count or 0

    async def insist(self, messages: Iterable[JobMessage], queue: str = topology.WORK_QUEUE) -> None:
        """Publish to `queue` until every message is confirmed, however long the broker is away."""
        pending = await self.publish_all(messages, queue)
        while pending:
            await self._recover(RETRY_S)
            pending = await self.publish_all(pending, queue)

    async def insist_on_body(self, body: bytes, queue: str, headers: HeadersType) -> None:
        """The same for what is no job message, as it came."""
        await self._window.acquire()
        while not await self._publish(body, queue, headers):
            await self._recover(PATIENT_RETRY_S)
            await self._window.acquire()

    async def publish_all(
        self,
        messages: Iterable[JobMessage],
        queue: str = topology.WORK_QUEUE,
        headers: HeadersType | None = None,
    ) -> list[JobMessage]:
        """Publish to `queue`, at most a window of them unconfirmed; returns those that were not confirmed.

        What is not confirmed may have been stored all the same. The rows bring it back in any case.
        """
        async with asyncio.TaskGroup() as group:
            tasks = []
            for message in messages:
                await self._window.acquire()
                shown = {"jobs": len(message.jobs), "scheduled-for": _first_instant(message), **(headers or {})}
                tasks.append((message, group.create_task(self._publish(encode(message), queue, shown))))
        unconfirmed = [message for message, task in tasks if not task.result()]
        if unconfirmed:
            _log.warning("jobs.unconfirmed", messages=len(unconfirmed), queue=queue)
        return unconfirmed

    async def publish_dead(
        self, job: Job, reason: str, *, status: int | None = None, failures: int | None = None
    ) -> None:
        """Show operators a job that is given up on, with what is known of it in the headers."""
        known: dict[str, str | int | None] = {
            "reason": reason,
            "status": status,
            "task-id": str(job.task_id),
            "execution-id": str(execution_id(job.task_id, job.scheduled_for)),
            "failures": failures,
        }
        headers: HeadersType = {name: value for name, value in known.items() if value is not None}
        await self.publish_all([JobMessage(jobs=[job])], topology.DEAD_QUEUE, headers)

    async def _recover(self, wait_s: float) -> None:
        """Wait until publishing may go better, and declare anew what an operator may have deleted."""
        await asyncio.sleep(wait_s)
        await self.ready()
        try:
            async with broker.call(self._timeout_s), self._connection.channel() as channel:
                await topology.declare_jobs(channel)
        except TimeoutError as error:
            await broker.renew(self._connection, error)
        except BROKER_ERRORS as error:
            _log.warning("topology.not_declared", error=repr(error))

    async def _publish(self, body: bytes, queue: str, headers: HeadersType) -> bool:
        message = aio_pika.Message(
            body,
            # Two publishes in flight with one id would swap their results: always a fresh one.
            message_id=uuid4().hex,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            timestamp=datetime.now(UTC),
            headers=headers,
        )
        try:
            async with broker.call(self._timeout_s):
                await self._exchange.publish(message, routing_key=queue, mandatory=True)
        except BROKER_ERRORS as error:
            metrics.MESSAGES_UNCONFIRMED.inc()
            _log.debug("publish.failed", queue=queue, error=repr(error))
            return False
        else:
            return True
        finally:
            self._window.release()


def _first_instant(message: JobMessage) -> str:
    return iso_utc(min(job.scheduled_for for job in message.jobs))
