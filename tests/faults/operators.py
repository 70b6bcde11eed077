"""SHELL. What operators do to RabbitMQ, by its management API and by `rabbitmqctl`; no part of Tocsin may."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

import aio_pika
import httpx
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.connection import make_url

from tocsin_common.settings_forms import rabbitmq_nodes
from tocsin_local.cluster import Cluster
from tocsin_local.rabbitmq import USER, RabbitMQ

Alarm = Literal["memory", "disk"]

# What the node has is never so little, and never so much: the alarm rings until the limit is put back.
LIMITS: dict[Alarm, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "memory": (("set_vm_memory_high_watermark", "absolute", "1MB"), ("set_vm_memory_high_watermark", "0.4")),
    "disk": (("set_disk_free_limit", "1000000GB"), ("set_disk_free_limit", "100MB")),
}
"""How an alarm is made to ring, and how it ends: with RabbitMQ's default, and what the local stack has."""
TIMEOUT_S = 30
STATES_S = 10
"""RabbitMQ collects what it says of its queues every five seconds."""


async def length(channel: AbstractChannel, queue: str) -> int:
    """How many messages are ready in it."""
    found = await channel.declare_queue(queue, passive=True)
    return found.declaration_result.message_count or 0


async def consumers(channel: AbstractChannel, queue: str) -> int:
    """How many consume from it."""
    found = await channel.declare_queue(queue, passive=True)
    return found.declaration_result.consumer_count or 0


class Operator:
    """Somebody who may do everything to this broker."""

    def __init__(self, broker: RabbitMQ | Cluster) -> None:
        self._broker = broker
        self._url = rabbitmq_nodes(broker.url)[0]

    @asynccontextmanager
    async def alarm(self, kind: Alarm) -> AsyncIterator[None]:
        """It rings meanwhile: RabbitMQ reads no more from connections that publish."""
        begin, end = LIMITS[kind]
        await self._control(*begin)
        try:
            yield
        finally:
            await self._control(*end)

    async def alarms(self) -> set[str]:
        """Those that ring."""
        async with self._api() as api:
            answer = await api.get("health/checks/alarms")
            return {alarm["resource"] for alarm in answer.json().get("alarms", [])}

    async def queues(self, vhost: str) -> list[str]:
        """The names of all queues, but those that belong to a connection alone: only it may delete them."""
        async with self._api() as api:
            answer = await api.get(f"queues/{vhost}", params={"disable_stats": "true"})
            return [queue["name"] for queue in answer.raise_for_status().json() if not queue["exclusive"]]

    async def broken_queues(self, vhost: str) -> list[str]:
        """The names of those that RabbitMQ has known for some seconds, and does not have at work."""
        async with self._api() as api:
            await asyncio.sleep(STATES_S)
            answer = await api.get(f"queues/{vhost}")
            return [queue["name"] for queue in answer.raise_for_status().json() if queue.get("state") != "running"]

    async def purge(self, queue: str) -> int:
        """Throw away what is ready in it, and say how much that was; what a sender holds stays."""
        async with self.channel() as channel:
            purged = await (await channel.get_queue(queue, ensure=False)).purge()
            return purged.message_count or 0

    async def throw_away(self, queue: str) -> int:
        """Delete it, and say how much was ready in it."""
        async with self.channel() as channel:
            shown = await channel.get_queue(queue, ensure=False)
            deleted = await shown.delete(if_unused=False, if_empty=False)  # which quorum queues do not know
            return deleted.message_count or 0

    async def bodies(self, queue: str) -> list[bytes]:
        """Of all messages in a queue that nobody consumes; they stay there."""
        found, all_came = list[bytes](), asyncio.Event()
        async with self.channel() as channel, asyncio.timeout(TIMEOUT_S):
            ready = await length(channel, queue)

            async def keep(message: AbstractIncomingMessage) -> None:
                found.append(message.body)  # not acked: all are ready again when the channel closes
                if len(found) == ready:
                    all_came.set()

            if ready:
                await (await channel.get_queue(queue, ensure=False)).consume(keep)
                await all_came.wait()
        return found

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """To do whatever they like."""
        # Not `aio_pika.connect`: what that could not connect is never closed.
        async with aio_pika.Connection(make_url(self._url)) as connection:
            await connection.connect(TIMEOUT_S)
            yield await connection.channel()

    @asynccontextmanager
    async def every_message_twice(
        self,
        exchange: str,
        queue: str,
        wait_s: Callable[[], float],
        change: Callable[[bytes], bytes] = lambda body: body,
    ) -> AsyncIterator[list[float]]:
        """What `exchange` has for `queue` meanwhile comes there again, as by a shovel, such a time later.

        Gives how long each copy took; when it ends all copies are there.
        """
        took_s: list[float] = []
        under_way: set[asyncio.Task[None]] = set()
        async with self.channel() as channel:

            async def again(message: AbstractIncomingMessage) -> None:
                took_s.append(wait_s())
                await asyncio.sleep(took_s[-1])
                copy = aio_pika.Message(change(message.body), headers=message.headers)
                await channel.default_exchange.publish(copy, routing_key=queue)

            async def begin(message: AbstractIncomingMessage) -> None:
                under_way.add(asyncio.create_task(again(message)))

            copies = await channel.declare_queue(exclusive=True)
            await copies.bind(exchange, routing_key=queue)
            consumer = await copies.consume(begin, no_ack=True)
            yield took_s
            await copies.cancel(consumer)
            await asyncio.gather(*under_way)

    async def delete(self, vhost: str, queue: str) -> None:
        """Delete it, with all that is in it."""
        async with self._api() as api:
            (await api.delete(f"queues/{vhost}/{queue}")).raise_for_status()

    async def _control(self, *command: str) -> str:
        return await asyncio.to_thread(self._broker.control, *command)

    def _api(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"{self._broker.management_url}/api/",
            auth=(USER, self._broker.password),
            timeout=TIMEOUT_S,
            trust_env=False,
        )
