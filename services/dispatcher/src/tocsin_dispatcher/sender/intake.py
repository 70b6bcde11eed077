"""SHELL. The sender's front: takes job messages, claims their executions, acks, and starts the POSTs.

A message is acked right after the claim: from there on the rows carry the work, and no POST depends on a channel.
"""

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import asyncpg
import msgspec
import structlog
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import DuplicateConsumerTag

from tocsin_common import broker, failpoints, topology
from tocsin_common.broker import BROKER_ERRORS
from tocsin_common.database import CONNECTION_ERRORS, DATA_ERRORS
from tocsin_common.messages import MAX_JOBS, Job, decode_jobs
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.sender import unread
from tocsin_dispatcher.sender.claim import unique
from tocsin_dispatcher.sender.delivery import Deliveries
from tocsin_dispatcher.sender.gate import Gate, Passed
from tocsin_dispatcher.sender.inbox import Delivery, Inbox
from tocsin_dispatcher.sender.record import Recorder
from tocsin_dispatcher.sender.starts import Starts
from tocsin_dispatcher.sender.tiers import Waits

RETRY_S = 0.5
CANCEL_TIMEOUT_S = 5
ACK_TIMEOUT_S = 5  # nothing answers an ack: only a full socket holds one up

_log = structlog.get_logger(__name__)


class Intake:
    """Feeds the deliveries of one sender."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        queues: Mapping[str, AbstractQueue],
        inbox: Inbox,
        gate: Gate,
        starts: Starts,
        waits: Waits,
        recorder: Recorder,
        deliveries: Deliveries,
        publisher: Publisher,
    ) -> None:
        """`queues`: which to take messages from, by the tag of the consumer of each."""
        self._pool = pool
        self._queues = queues
        self._inbox = inbox
        self._gate = gate
        self._starts = starts
        self._waits = waits
        self._recorder = recorder
        self._deliveries = deliveries
        self._publisher = publisher
        self._running: set[asyncio.Task[None]] = set()

    async def consume(self) -> None:
        """Let the broker send job messages."""
        async with broker.call(topology.DECLARE_TIMEOUT_S):
            for tag, queue in self._queues.items():
                # An attempt that failed midway leaves consumers, which a channel keeps when it is opened again.
                with suppress(DuplicateConsumerTag):
                    await queue.consume(self._receive, consumer_tag=tag)
        _log.info("sender.consuming", queues=[queue.name for queue in self._queues.values()])

    async def stop_consuming(self) -> None:
        """Let the broker send no more, and hand back what was not claimed."""
        messages = self._inbox.take_messages()
        try:
            async with broker.call(CANCEL_TIMEOUT_S):
                for tag, queue in self._queues.items():
                    await queue.cancel(tag)
                for message in messages + self._inbox.take_messages():
                    await message.nack(requeue=True)
        except BROKER_ERRORS as error:  # a broken channel hands everything back by itself
            _log.info("messages.returned_by_broker", error=repr(error))

    async def run(self) -> None:
        """Claim until the inbox is closed; never broken off between a claim and its POSTs."""
        while taken := await self._inbox.take(MAX_JOBS):
            await self._start(taken)
        await self._starts.all_begun()

    async def start_posts(self) -> None:
        """Begin what was claimed, for ever."""
        while True:
            for grant in await self._starts.take():
                self._run(self._deliveries.deliver(grant))

    async def drain(self, claiming: asyncio.Task[None], timeout_s: float) -> None:
        """Wait for `run`, which is `claiming`, and for the POSTs under way, at most `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.wait({claiming})
                if self._running:
                    await asyncio.wait(self._running)
        except TimeoutError:
            _log.warning("posts.abandoned", posts=len(self._running), claiming=not claiming.done())
            self._pool.terminate()  # a cancelled statement waits for the server, which may be frozen
            for task in (claiming, *self._running):  # claims run out, and the sweeper brings them back
                task.cancel()

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        try:
            jobs = decode_jobs(message.body).jobs
        except msgspec.DecodeError as error:
            await unread.put_aside(message, error, self._publisher)
            await _ack(message)
        else:
            self._inbox.put(Delivery(jobs, message))

    async def _start(self, taken: list[Delivery]) -> None:
        jobs = unique(job for delivery in taken for job in delivery.jobs)
        failpoints.reach("sender.job_received")
        try:
            passed = await self._pass(jobs)
        except CONNECTION_ERRORS as error:
            await self._wait_for_database(taken, error)
            return
        failpoints.reach("sender.claimed")
        for delivery in taken:
            if delivery.message is not None:
                await _ack(delivery.message)
        failpoints.reach("sender.acked")
        self._begin(passed)

    async def _pass(self, jobs: Collection[Job]) -> Passed:
        """What passes the gate and has not begun yet.

        A job that the database cannot even look up must not take its neighbours with it: then each comes alone.
        """
        try:
            return await self._gate.admit(jobs)
        except DATA_ERRORS as error:
            if len(jobs) == 1:
                [job] = jobs
                await self._bury(job, type(error).__name__)
                return Passed()
        # The earliest first, as in one claim: it decides on the later ones of its task.
        for job in sorted(jobs, key=lambda job: job.scheduled_for):
            self._begin(await self._pass([job]))
        return Passed()

    async def _bury(self, job: Job, kind: str) -> None:
        _log.error("job.malformed", kind=kind)
        await self._publisher.publish_dead(job, f"malformed: {kind}")

    def _begin(self, passed: Passed) -> None:
        if self._inbox.is_closed:
            for grant in passed.grants:
                self._run(self._deliveries.turn_back(grant))
        else:
            self._starts.put(passed.grants)
        if passed.waits:
            failpoints.reach("sender.parked")
            self._run(self._waits.hold(passed.waits))
        if passed.not_due:
            self._run(self._waits.hold(passed.not_due, came_back=True))
        if passed.moved:
            self._inbox.put(Delivery(list(passed.moved), None))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _wait_for_database(self, taken: list[Delivery], error: BaseException) -> None:
        """Hand everything back once, then wait: a message that is requeued in a loop ends in the dead queue."""
        _log.warning("database.unavailable", error=repr(error))
        for delivery in taken:
            self._inbox.put(delivery)
        await self.stop_consuming()
        while not await self._database_answers():
            if self._inbox.is_closed:
                return
            await asyncio.sleep(RETRY_S)
        await self._recorder.flushed()
        while not self._inbox.is_closed:
            try:
                await self.consume()
            except BROKER_ERRORS as broken:
                _log.warning("broker.unavailable", error=repr(broken))
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _database_answers(self) -> bool:
        try:
            await self._pool.fetchval("SELECT true")
        except CONNECTION_ERRORS:
            return False
        return True


async def open_queues(connection: AbstractConnection, *, prefetch: int, tag: str) -> dict[str, AbstractQueue]:
    """The work queues, this release's first, each with the tag of its consumer, on a channel of their own.

    Of each at most `prefetch` messages are held.
    """
    async with broker.call():
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=prefetch)
        _, queue = await topology.declare_jobs(channel)
        former = {name: await channel.get_queue(name) for name in topology.FORMER_QUEUES}
    return {tag: queue, **{f"{tag} from {name}": old for name, old in former.items()}}


async def _ack(message: AbstractIncomingMessage) -> None:
    try:
        async with broker.call(ACK_TIMEOUT_S):
            await message.ack()
    except BROKER_ERRORS as error:  # it comes again, and the claim drops it
        _log.info("ack.failed", error=repr(error))
