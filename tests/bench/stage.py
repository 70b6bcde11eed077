"""ADAPTER. What measurements stand on: servers, tasks put straight into tables, processes and their logs."""

import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from os import kill
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg

from bench import events, owing
from bench.events import Event
from bench.schedules import When
from tocsin_common import topology
from tocsin_common.messages import Job, decode_jobs
from tocsin_dispatcher.scheduler import lease_sql
from tocsin_local.errors import StackError
from tocsin_local.services import Services
from tocsin_local.stack import Stack

SCHEDULER, STANDBY = "scheduler", "scheduler-2"
SETTINGS = {"LOG_LEVEL": "info"}
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
STATEMENT_TIMEOUT_S = 600
LEADING_TIMEOUT_S = 300
DRAIN_TIMEOUT_S = 60

CLEAR = "TRUNCATE tasks, task_revisions, executions, task_logs, task_state, destinations, egress_groups"

# URL and payload are dummies: nobody posts. Ids rise, as the api's do.
SEED = f"""
WITH whens AS (
    SELECT schedule, timezone, run_at, n - 1 AS n
    FROM unnest($2::text[], $3::text[], $4::timestamptz[]) WITH ORDINALITY AS w (schedule, timezone, run_at, n)
), wanted AS (
    SELECT lpad(to_hex(i), 32, '0')::uuid AS id, 'task ' || i AS name, schedule, timezone, run_at,
           sha512(i::text::bytea) AS sealed, sha256(i::text::bytea) AS hash,
           'https://discord.com/api/webhooks/' || 10 ^ 17::numeric + i || '/…beef' AS masked,
           'discord.com/' || 10 ^ 17::numeric + i AS destination, json '{{"content": "the bell"}}' AS payload
    FROM generate_series(0, $1::integer - 1) AS i JOIN whens ON n = i % cardinality($2)
){owing.ADD_WANTED}"""  # noqa: S608 - constants

# As a leader leaves it that stopped just now and had seen every task: nothing is late, nothing is to be made up.
SETTLE = """
UPDATE scheduler_lease
SET holder = NULL, expires_at = '-infinity', watermark = clock_timestamp(), gap_until = NULL, gap_snapshot = NULL,
    feed_xid = pg_current_xact_id(), database_id = $1
"""


class Stage:
    """One stack with a database that each measurement clears."""

    def __init__(self, stack: Stack, env: Mapping[str, str], settings: Mapping[str, str]) -> None:
        self.stack = stack
        inherited = {name: env[name] for name in INHERITED if name in env}
        self._env = {**inherited, **SETTINGS, **settings}
        self.services = Services(stack, self._env)
        self.services.migrate()

    async def open(self) -> None:
        """A first leader notes in the lease to which database it belongs, and makes queues and partitions."""
        await self.lead()
        self.services.stop()

    def with_settings(self, **settings: str) -> Services:
        """The same processes with other settings."""
        return Services(self.stack, self._env | settings)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of the bench's own."""
        connection = await asyncpg.connect(self.stack.urls.database_url, command_timeout=STATEMENT_TIMEOUT_S)
        try:
            yield connection
        finally:
            await connection.close()

    async def prepare(self, tasks: int, whens: Sequence[When]) -> None:
        """Nothing but `tasks` tasks, each with one of `whens` in turn; a scheduler that knew them has stopped."""
        async with self.database() as database:
            await database.execute(CLEAR)
            await database.execute(SEED, tasks, *map(list, zip(*whens, strict=True)))
            await database.execute("VACUUM ANALYZE")  # as autovacuum would, before long
        await self.settle()

    async def settle(self) -> None:
        """Leave the lease as if a scheduler had stopped just now, and no execution."""
        async with self.database() as database:
            await database.execute("TRUNCATE executions")
            lease = await database.fetchrow(lease_sql.LEASE)
            await database.execute(SETTLE, lease["current_database_id"])

    async def lead(self, name: str = SCHEDULER, services: Services | None = None) -> tuple[datetime, Event]:
        """Start a scheduler; when its process was started, and what it logged once it led."""
        started_at = datetime.now(UTC)
        (services or self.services).start([name], wait=False)
        return started_at, await self.logged(name, "scheduler.leading", timeout_s=LEADING_TIMEOUT_S)

    async def logged(self, name: str, event: str, *, timeout_s: float = 60) -> Event:
        """The first `event` of a process since its start."""
        return await events.first(self.log(name), event, timeout_s=timeout_s)

    def log(self, name: str) -> Path:
        """The log of a process's last start."""
        return self.services.log(name)

    def pid(self, name: str) -> int:
        """Of a process that runs; StackError if it does not."""
        pid = self.services.pid(name)
        if pid is None:
            raise StackError(f"{name} does not run any more; its log is {self.log(name)}.")
        return pid

    def signal(self, name: str, number: signal.Signals) -> datetime:
        """Send a signal to a process; when."""
        pid = self.pid(name)
        sent_at = datetime.now(UTC)
        kill(pid, number)
        return sent_at

    @asynccontextmanager
    async def broker(self) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
        """A channel of the bench's own; no robust one, which would answer passive declarations from memory."""
        connection = await aio_pika.connect(self.stack.urls.rabbitmq_url)
        async with connection:
            yield await connection.channel()


async def depth(channel: aio_pika.abc.AbstractChannel) -> int:
    """How many messages wait in the work queue, as the broker says now."""
    queue = await channel.declare_queue(topology.WORK_QUEUE, passive=True)
    return queue.declaration_result.message_count or 0


async def take_all(channel: aio_pika.abc.AbstractChannel) -> list[Job]:
    """Empty the work queue; every job that was in it."""
    queue = await channel.declare_queue(topology.WORK_QUEUE, passive=True)
    left = queue.declaration_result.message_count or 0
    jobs: list[Job] = []
    options: dict[str, Any] = {"no_ack": True, "timeout": DRAIN_TIMEOUT_S}
    async with queue.iterator(**options) as messages:
        while left > 0:
            jobs += decode_jobs((await anext(messages)).body).jobs
            left -= 1
    return jobs
