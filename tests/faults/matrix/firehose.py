"""ADAPTER. RabbitMQ's firehose: a copy of every message that is published, wherever it goes, or nowhere.

It changes nothing for those who publish: what no queue takes is returned to them all the same.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from types import TracebackType
from typing import Self

import aio_pika
import httpx
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.connection import make_url

from tocsin_common.settings_forms import rabbitmq_nodes
from tocsin_local.rabbitmq import USER
from tocsin_local.urls import StackUrls

EXCHANGE = "amq.rabbitmq.trace"
PUBLISHED = "publish.#"
VHOST = "vhosts/%2F"
AGAIN_S = 0.2
"""From one look at brokers that may be away to the next."""
TIMEOUT_S = 5.0


class Firehose:
    """Keeps what it shows, as text. It comes back by itself when its broker does, and may miss what was said until
    then."""

    def __init__(self, servers: StackUrls, management_urls: Sequence[str], name: str) -> None:
        """`management_urls`: of all nodes, since each traces what is published on it."""
        self._nodes = cycle(rabbitmq_nodes(servers.rabbitmq_url))
        self._consoles = [
            httpx.AsyncClient(
                base_url=f"{url}/api/",
                auth=(USER, servers.management_password),
                timeout=TIMEOUT_S,
                trust_env=False,
            )
            for url in management_urls
        ]
        self._name = name
        self._shown: list[str] = []
        self._begun = (asyncio.Event(), asyncio.Event())
        """It listens; a node traces."""

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._trace())]
        async with asyncio.timeout(TIMEOUT_S):
            for event in self._begun:
                await event.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for console in self._consoles:
            await console.aclose()

    @property
    def text(self) -> str:
        """All that it has shown."""
        return "".join(self._shown)

    async def _listen(self) -> None:
        while True:
            with suppress(OSError, TimeoutError, aio_pika.exceptions.AMQPError):
                await self._listen_until_it_ends()
            await asyncio.sleep(AGAIN_S)

    async def _listen_until_it_ends(self) -> None:
        """At one node; the next time at another one, where there are several."""
        named = {"connection_name": self._name}
        # Not `aio_pika.connect`: what that could not connect is never closed.
        async with aio_pika.Connection(make_url(next(self._nodes)), client_properties={**named}) as connection:
            await connection.connect(TIMEOUT_S)
            ended = asyncio.Event()
            connection.close_callbacks.add(lambda *_: ended.set())
            channel = await connection.channel()
            queue = await channel.declare_queue(exclusive=True)
            await queue.bind(EXCHANGE, routing_key=PUBLISHED)
            await queue.consume(self._keep, no_ack=True, consumer_tag=self._name)
            self._begun[0].set()
            await ended.wait()

    async def _trace(self) -> None:
        """Have each node trace; one that comes back does not by itself."""
        while True:
            for console in self._consoles:
                with suppress(httpx.HTTPError, ValueError):
                    await self._let_trace(console)
            await asyncio.sleep(AGAIN_S)

    async def _let_trace(self, console: httpx.AsyncClient) -> None:
        if (await console.get(VHOST)).json().get("tracing") is False:
            (await console.put(VHOST, json={"tracing": True})).raise_for_status()
        self._begun[1].set()

    async def _keep(self, message: AbstractIncomingMessage) -> None:
        body = message.body.decode(errors="replace")
        self._shown.append(f"{message.routing_key}\n{message.info()}\n{body}\n\n")
