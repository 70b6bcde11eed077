"""ADAPTERS. Everything that somebody could see of a running Tocsin, as text."""

import asyncio
import base64
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aio_pika
import asyncpg
import httpx
from aio_pika.abc import AbstractIncomingMessage

from tocsin_common import topology
from tocsin_local.urls import StackUrls

POLL_S = 0.05
BOUND_S = 60.0
LONGEST_SHOWN = 50_000
"""Of a message, in bytes."""


class Answers:
    """A client of the API that keeps every answer: status line, headers, body."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.text = ""
        self.client = httpx.AsyncClient(base_url=url, headers=headers, event_hooks={"response": [self._keep]})

    async def __aenter__(self) -> httpx.AsyncClient:
        return await self.client.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        await self.client.__aexit__(*error)

    async def _keep(self, response: httpx.Response) -> None:
        await response.aread()
        headers = "".join(f"{name}: {value}\n" for name, value in response.headers.multi_items())
        self.text += f"{response.status_code} {response.reason_phrase}\n{headers}\n{response.text}\n\n"


class Tap:
    """A queue of its own on both exchanges, which gets every message."""

    def __init__(self, rabbitmq_url: str, name: str) -> None:
        self._url = rabbitmq_url
        self._name = name
        self._strangers: set[bytes] = set()
        self.bodies: list[bytes] = []
        self._shown: list[str] = []

    async def __aenter__(self) -> Self:
        self._connection = await aio_pika.connect(self._url, client_properties={"connection_name": self._name})
        channel = await self._connection.channel()
        self._jobs, _ = await topology.declare_jobs(channel)
        changes = await topology.declare_changes(channel)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(changes)
        for routing_key in topology.queue_arguments():
            await queue.bind(self._jobs, routing_key=routing_key)
        await queue.consume(self._keep, no_ack=True, consumer_tag=self._name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()

    @property
    def text(self) -> str:
        """All that they show."""
        return "".join(self._shown)

    async def publish(self, body: bytes) -> None:
        """Put a stranger's message into the work queue. Where its body comes again is of no interest."""
        self._strangers.add(body)
        await self._jobs.publish(aio_pika.Message(body), routing_key=topology.WORK_QUEUE)

    def without_strangers(self, text: str) -> str:
        """`text` without the bodies that are a stranger's."""
        # The longest first: a short one may stand in a longer one, which would then not be found.
        for body in sorted(self._strangers, key=len, reverse=True):
            # The management API shows what is no text in base64.
            for shown in (body.decode(errors="replace"), base64.b64encode(body).decode()):
                text = text.replace(shown, "")
        return text

    async def _keep(self, message: AbstractIncomingMessage) -> None:
        self.bodies.append(message.body)
        body = self.without_strangers(message.body.decode(errors="replace"))
        self._shown.append(f"{message.routing_key}\n{message.info()}\n{body}\n\n")


class Console:
    """RabbitMQ's management API on one virtual host."""

    def __init__(self, servers: StackUrls, vhost: str) -> None:
        self._login = (servers.management_user, servers.management_password)
        self._url = f"{servers.management_url}/api"
        self.vhost = vhost
        self.text = ""

    async def make_vhost(self) -> None:
        """With all rights for the servers' user."""
        rights = {"configure": ".*", "write": ".*", "read": ".*"}
        async with self._open() as client:
            (await client.put(f"{self._url}/vhosts/{self.vhost}")).raise_for_status()
            path = f"/permissions/{self.vhost}/{quote(self._login[0], safe='')}"
            (await client.put(f"{self._url}{path}", json=rights)).raise_for_status()

    async def delete_vhost(self) -> None:
        """With everything in it."""
        async with self._open() as client:
            (await client.delete(f"{self._url}/vhosts/{self.vhost}")).raise_for_status()

    async def look(self) -> None:
        """Keep what it shows now."""
        kinds = ("exchanges", "queues", "bindings", "consumers")
        paths = [*(f"/{kind}/{self.vhost}" for kind in kinds), f"/vhosts/{self.vhost}/connections"]
        async with self._open() as client:
            for path in (*paths, f"/vhosts/{self.vhost}/channels"):
                answer = await client.get(f"{self._url}{path}")
                answer.raise_for_status()
                self.text += f"{path}\n{answer.text}\n\n"

    async def messages(self) -> str:
        """What waits in each queue that is there, bodies and headers; it stays there."""
        ask = {"count": 10_000, "ackmode": "ack_requeue_true", "encoding": "auto", "truncate": LONGEST_SHOWN}
        text = ""
        async with self._open() as client:
            for name in topology.queue_arguments():
                answer = await client.post(f"{self._url}/queues/{self.vhost}/{name}/get", json=ask)
                if answer.status_code == httpx.codes.NOT_FOUND:
                    continue
                answer.raise_for_status()
                text += "".join(f"{name}\n{each}\n\n" for each in answer.json())
        return text

    def _open(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(auth=self._login, timeout=BOUND_S)


class Statements:
    """The statements that PostgreSQL shows its users, looked at again and again."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._seen: set[str] = set()

    @property
    def text(self) -> str:
        """Each of them once, with what else is shown of its connection."""
        return "\n".join(sorted(self._seen))

    async def look_until(self, done: asyncio.Event) -> None:
        """Keep what it shows, until `done`."""
        while not done.is_set():
            rows = await self._pool.fetch(
                "SELECT concat_ws(' | ', usename, application_name, query) AS line FROM pg_stat_activity"
                " WHERE datname = current_database()"
            )
            self._seen |= {row["line"] for row in rows}
            await asyncio.sleep(POLL_S)


async def tables(pool: asyncpg.Pool) -> str:
    """Every row of every table as text; what is binary shows in hexadecimal."""
    names = await pool.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class"
        " WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace"
    )
    text = StringIO()
    async with pool.acquire() as connection, connection.transaction():
        for name in (row["name"] for row in names):
            rows = connection.cursor(f"SELECT row_to_json(t)::text AS line FROM {name} AS t")  # noqa: S608 - ours
            async for row in rows:
                text.write(f"{name} {row['line']}\n")
    return text.getvalue()


class ServerLog:
    """What a server writes into its log from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = path.stat().st_size

    @property
    def text(self) -> str:
        """Up to now."""
        with self._path.open("rb") as file:
            file.seek(self._start)
            return file.read().decode(errors="replace")


async def until(happened: Callable[[], Any], what: str) -> None:
    """Return as soon as `happened()`, which may be a coroutine, is true; else TimeoutError."""
    try:
        async with asyncio.timeout(BOUND_S):
            while True:
                found = happened()
                if await found if asyncio.iscoroutine(found) else found:
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise TimeoutError(f"not within {BOUND_S:g} s: {what}") from None
