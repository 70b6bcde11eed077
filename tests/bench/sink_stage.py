"""SHELL. What measurements of senders stand on: servers, the sink, tasks that post to it, and their executions."""

import asyncio
import signal
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

import asyncpg

from bench import arrivals, owing, schedules
from bench.arrivals import Arrival
from bench.owing import Bell, Task
from bench.schedules import When
from bench.sink import Sink, addresses
from bench.stage import CLEAR, Stage
from tocsin_common import broker, topology
from tocsin_common.messages import Job, pack
from tocsin_common.sealing import Sealer
from tocsin_dispatcher.publisher import Publisher
from tocsin_local.errors import StackError
from tocsin_local.stack import Stack

SENDER, SECOND_SENDER = "sender", "sender-2"
SETTINGS = {"ALLOW_LOCAL_WEBHOOKS": "true"}
DESTINATIONS = 1000
CHUNK = 2000
"""Executions that are announced together, ordered by destination: as many as the scheduler commits together."""
PUBLISH_WINDOW, PUBLISH_TIMEOUT_S = 100, 30.0
TIMEOUT_S = 120.0
POLL_S = 0.05

OPEN = "SELECT count(*) FROM executions WHERE state IN ('due', 'waiting', 'running')"

RECORDED = """
SELECT (SELECT count(*) FROM executions) AS rows,
       (SELECT count(*) FROM executions WHERE state = 'succeeded') AS succeeded,
       (SELECT count(*) FROM task_logs) AS attempts,
       (SELECT min(execution_time) FROM task_logs) AS first_attempt_at,
       (SELECT max(finished_at) FROM executions) AS last_finished_at
"""


class Delivered(NamedTuple):
    """How executions were posted and recorded; the last two by the database's clock."""

    arrived: list[Arrival]
    first_attempt_at: datetime
    last_finished_at: datetime


class SinkStage(Stage):
    """One stack with a sink of 1,000 receivers."""

    def __init__(self, stack: Stack, env: Mapping[str, str]) -> None:
        super().__init__(stack, env, SETTINGS)
        self.sink = Sink(stack.instance, addresses(DESTINATIONS))
        self._sealer = Sealer.from_setting(self.services.environment()["SEALING_KEYS"])

    async def open(self) -> None:
        """Start the sink as well."""
        self.sink.start()
        await super().open()

    def bells(self, whens: Iterable[When]) -> list[Bell]:
        """What a task each is to be, at the sink's receivers in turn."""
        urls = [f"{origin}/bell" for origin in self.sink.origins]
        return [Bell(urls[n % len(urls)], when) for n, when in enumerate(whens)]

    def silent_bells(self, count: int) -> list[Bell]:
        """Such that none is due by itself."""
        return self.bells(schedules.far_off(1, datetime.now(UTC)) * count)

    async def add(self, bells: Sequence[Bell], *, payload: str = owing.PAYLOAD) -> list[Task]:
        """Nothing but these tasks; no process runs that knew others."""
        await self.clear()
        self.sink.forget()
        async with self.database() as database:
            tasks = await owing.write_tasks(database, self._sealer, bells, payload=payload)
            await database.execute("VACUUM ANALYZE")  # as autovacuum would, before long
        return tasks

    async def clear(self) -> None:
        """No task, execution or message any more; no process runs that knew them."""
        async with self.database() as database, self.broker() as channel:
            await database.execute(CLEAR)
            for name in topology.queue_arguments():
                await (await channel.declare_queue(name, passive=True)).purge()

    async def add_more(self, bells: Sequence[Bell], *, first: int, payload: str = owing.PAYLOAD) -> list[Task]:
        """These tasks beside those that are there; their ids rise from `first`."""
        self.sink.forget()
        async with self.database() as database:
            return await owing.write_tasks(database, self._sealer, bells, payload=payload, first=first)

    async def owe(self, tasks: Sequence[Task]) -> list[Job]:
        """An execution of each, due now and not announced."""
        async with asyncpg.create_pool(self.stack.urls.database_url, min_size=1, max_size=1) as pool:
            return await owing.write_due(pool, tasks, datetime.now(UTC))

    async def announce(self, jobs: Iterable[Job]) -> None:
        """Announce them as the scheduler does: in chunks, each ordered by destination, 50 a message."""
        connection = await broker.connect(
            self.stack.urls.rabbitmq_url, name="bench announces jobs", timeout_s=PUBLISH_TIMEOUT_S
        )
        async with connection:
            publisher = await Publisher.open(connection, window=PUBLISH_WINDOW, timeout_s=PUBLISH_TIMEOUT_S)
            for chunk in _chunks(jobs):
                if await publisher.publish_all(pack(chunk)):
                    raise StackError("The broker has not confirmed all that was announced.")

    async def let_go(self, jobs: Iterable[Job], senders: Collection[str]) -> datetime:
        """Announce them while the senders, which are ready, are frozen; then let these go, all at once; when."""
        for name in senders:
            self.signal(name, signal.SIGSTOP)
        await self.announce(jobs)
        return max(self.signal(name, signal.SIGCONT) for name in senders)

    async def delivered(self, jobs: Collection[Job]) -> Delivered:
        """Wait until all is recorded, and check it: of each execution one row, one attempt, one POST."""
        await self.sink.reached(len(jobs), timeout_s=TIMEOUT_S)
        await self.settled()
        async with self.database() as database:
            recorded = await database.fetchrow(RECORDED)
        if not len(jobs) == recorded["rows"] == recorded["succeeded"] == recorded["attempts"]:
            raise StackError(f"Of {len(jobs)} executions not each has succeeded at once: {dict(recorded)}")
        arrived = await self.sink.arrived()
        arrivals.check(arrived, arrivals.instants(jobs))
        return Delivered(arrived, recorded["first_attempt_at"], recorded["last_finished_at"])

    async def settled(self, *, timeout_s: float = TIMEOUT_S) -> None:
        """Return once no execution is open; StackError after `timeout_s`."""
        left = 0
        async with self.database() as database:
            try:
                async with asyncio.timeout(timeout_s):
                    while left := await database.fetchval(OPEN):  # noqa: ASYNC110 - a row does not tell by itself
                        await asyncio.sleep(POLL_S)
            except TimeoutError:
                raise StackError(f"After {timeout_s:.0f} s {left} executions were not done yet.") from None


def _chunks(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    rest = iter(jobs)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
