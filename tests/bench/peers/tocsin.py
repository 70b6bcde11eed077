"""SHELL. Tocsin as a contender: a scheduler, two senders, and a one-off task for each POST."""

import asyncio
import signal
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from bench import arrivals
from bench.owing import Bell
from bench.peers.compared import OWN
from bench.peers.contender import described
from bench.peers.work import BODY, IN_FLIGHT, Post
from bench.schedules import UTC_NAME, When
from bench.sink_stage import SECOND_SENDER, SENDER, SinkStage
from bench.stage import SCHEDULER
from tocsin_common.messages import Job
from tocsin_local.errors import StackError

SENDERS = (SENDER, SECOND_SENDER)
PROCESSES = (SCHEDULER, *SENDERS)
SETTINGS = {"POST_SLOTS": str(IN_FLIGHT)}
"""Beside those of the stage."""
TAKEN_TIMEOUT_S = 60.0
POLL_S = 0.05

FIRST = "SELECT count(*) FROM tasks"
# Higher than the transaction id of whatever was committed before.
MARK = "SELECT pg_current_xact_id()::text"
# Up to where the leader has read, and applied what it read.
IS_TAKEN = "SELECT feed_xid >= $1::text::xid8 FROM scheduler_lease"
# Each task owes one execution.
LEFT = """
SELECT (SELECT count(*) FROM tasks)
       - (SELECT count(*) FROM executions WHERE state NOT IN ('due', 'waiting', 'running'))
"""


class Tocsin:
    """On the stage's own PostgreSQL and RabbitMQ."""

    name = OWN
    described = described(
        processes="a scheduler and two senders",
        in_flight=f"{IN_FLIGHT} in each sender",
        client="aiohttp's connector, without its session",
        server="PostgreSQL and RabbitMQ (a quorum queue)",
        setup=f"`POST_SLOTS={IN_FLIGHT}`; all else by default",
        given="a task each with `runAt`, in the rows that the API would write, put straight into the tables",
    )

    def __init__(self, stage: SinkStage) -> None:
        """Nothing happens yet."""
        self._stage = stage
        self._services = stage.with_settings(**SETTINGS)

    async def start(self) -> None:
        """Empty tables and queues, as a peer's own place is new; then the processes."""
        await self._stage.clear()
        await self._stage.settle()
        self._services.start(PROCESSES)

    async def give(self, posts: Sequence[Post]) -> Mapping[UUID, datetime]:
        """Tasks as the api writes them; the scheduler reads its feed, as it does when a hint is lost."""
        bells = [Bell(post.url, When(None, UTC_NAME, post.at.astimezone(UTC))) for post in posts]
        async with self._stage.database() as database:
            tasks = await self._stage.add_more(bells, first=await database.fetchval(FIRST), payload=BODY)
            mark = await database.fetchval(MARK)
            try:
                async with asyncio.timeout(TAKEN_TIMEOUT_S):
                    while not await database.fetchval(IS_TAKEN, mark):  # noqa: ASYNC110 - a row does not tell by itself
                        await asyncio.sleep(POLL_S)
            except TimeoutError:
                raise StackError(f"The scheduler took no tasks within {TAKEN_TIMEOUT_S:.0f} s.") from None
        jobs = (Job(task.id, post.at, task.destination) for task, post in zip(tasks, posts, strict=True))
        return arrivals.instants(jobs)

    async def settled(self) -> None:
        """Each execution has ended."""
        await self._stage.settled()

    async def left(self) -> int:
        """Of all tasks."""
        async with self._stage.database() as database:
            return int(await database.fetchval(LEFT))

    def kill(self) -> None:
        """The scheduler too."""
        for name in PROCESSES:
            self._stage.signal(name, signal.SIGKILL)
        for name in PROCESSES:
            self._services.kill(name)

    def restart(self) -> None:
        """All of them."""
        self._services.start(PROCESSES, wait=False)

    async def ready(self) -> None:
        """The scheduler leads, the senders consume."""
        for name in PROCESSES:
            await asyncio.to_thread(self._services.wait_ready, name)

    def pids(self) -> Collection[int]:
        """Scheduler and senders."""
        return [self._stage.pid(name) for name in PROCESSES]

    def server_pids(self) -> Collection[int]:
        """PostgreSQL and RabbitMQ."""
        servers = self._stage.stack.pids()
        return [servers["postgres"], servers["rabbitmq"]]

    async def stop(self) -> None:
        """Its processes; the servers are the stage's."""
        self._services.stop()
        await self._stage.clear()
