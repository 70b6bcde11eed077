"""SHELL. Tocsin around one crash: its processes, what is in the servers, and what it comes to in the end."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import aio_pika
import asyncpg
import httpx

from e2e.oracle import Account, Ended
from e2e.processes import Tocsin
from tocsin_common.failpoints import Failpoint
from tocsin_common.messages import decode_jobs, execution_id
from tocsin_common.topology import WORK_QUEUE
from tocsin_local.oracle import WatchedTask
from tocsin_local.receiver import Receiver

Role = Literal["schedule", "send"]

READY = {"schedule": "scheduler.leading", "send": "sender.consuming"}
POLL_S = 0.05
PATIENCE_S = 60

TASKS = """
SELECT t.id, t.name, t.schedule, min(r.effective_from) AS starts_at,
       min(r.effective_from) FILTER (WHERE r.status <> 'ACTIVE') AS stops_at
FROM tasks t JOIN task_revisions r ON r.task_id = t.id GROUP BY t.id
"""
FEED_IS_READ = "SELECT NOT EXISTS (SELECT FROM task_revisions, scheduler_lease WHERE xid >= feed_xid)"


class Stage:
    """One test's Tocsin. All tasks post to `webhook`."""

    def __init__(
        self,
        start: Callable[..., Awaitable[Tocsin]],
        api: httpx.AsyncClient,
        database: asyncpg.Connection,
        connection: aio_pika.abc.AbstractConnection,
        receiver: Receiver,
    ) -> None:
        self._start = start
        self._starting: list[tuple[Tocsin, str]] = []
        self._started: list[Tocsin] = []
        self._api = api
        self.database = database
        self._connection = connection
        self.receiver = receiver
        self.webhook = receiver.add()

    async def start(
        self, role: Role, *, dies_at: Failpoint | None = None, nth: int = 1, **settings: str
    ) -> Tocsin:
        """Start a dispatcher; `ready` waits for it, and so does what needs it."""
        tocsin = await self._start("tocsin-dispatcher", role, dies_at=dies_at, nth=nth, **settings)
        self._starting.append((tocsin, READY[role]))
        self._started.append(tocsin)
        return tocsin

    async def stop(self) -> None:
        """Stop every dispatcher that was started and still runs, before its servers are gone."""
        alive = [tocsin for tocsin in self._started if tocsin.process.returncode is None]
        assert await asyncio.gather(*(tocsin.stop() for tocsin in alive)) == [0] * len(alive)

    async def ready(self) -> None:
        """Returns once everything that was started does its work."""
        starting, self._starting = self._starting, []
        await asyncio.gather(*(tocsin.logged(event) for tocsin, event in starting))

    def new_task(self) -> dict[str, Any]:
        """What a client sends to create a task that owes an execution every second."""
        return {
            "name": "every second",
            "schedule": "* * * * * *",
            "webhookUrl": self.webhook.url,
            "payload": {"content": "hello"},
        }

    async def create_task(self, **fields: Any) -> None:
        """Create one when all is ready, or another with these `fields`."""
        await self.ready()
        answer = await self._api.post("/api/tasks", json={**self.new_task(), **fields})
        assert answer.status_code == 201, answer.text

    async def delete_task(self, name: str) -> None:
        """Delete the one of that name."""
        task_id = await self.database.fetchval("SELECT id FROM tasks WHERE name = $1", name)
        answer = await self._api.delete(f"/api/tasks/{task_id}")
        assert answer.status_code == 200, answer.text

    async def stop_tasks(self) -> None:
        """Let all tasks owe nothing from now on."""
        for row in await self.database.fetch("SELECT id FROM tasks"):
            answer = await self._api.patch(f"/api/tasks/{row['id']}", json={"status": "INACTIVE"})
            assert answer.status_code == 200, answer.text

    async def age(self, by: timedelta = timedelta(0)) -> None:
        """As if all tasks were so old and nobody had led since: they owe what a leader finds together."""
        past = await self.database.fetchval("SELECT clock_timestamp() - $1::interval", by)
        await self.database.execute("UPDATE task_revisions SET effective_from = $1", past)
        await self.database.execute("UPDATE tasks SET effective_from = $1", past)
        await self.database.execute("UPDATE scheduler_lease SET watermark = $1", past)

    async def watermark(self) -> datetime:
        """The instant up to which every owed execution has its row."""
        watermark: datetime = await self.database.fetchval("SELECT watermark FROM scheduler_lease")
        return watermark

    async def rows(self, *states: str) -> list[asyncpg.Record]:
        """The executions in one of `states`, or all, oldest first."""
        return await self.database.fetch(
            "SELECT * FROM executions WHERE $1 = '{}'::text[] OR state = ANY($1) ORDER BY scheduled_for, task_id",
            list(states),
        )

    async def logged_attempts(self, row: asyncpg.Record) -> list[tuple[int, str]]:
        """Seq and status of each attempt of an execution in the task log."""
        logs = await self.database.fetch(
            "SELECT seq, status FROM task_logs WHERE (task_id, scheduled_for) = ($1, $2) ORDER BY seq",
            row["task_id"],
            row["scheduled_for"],
        )
        return [(log["seq"], log["status"]) for log in logs]

    async def announced(self, queue: str = WORK_QUEUE) -> list[UUID]:
        """The executions that messages in `queue` announce; waits until the broker took back what is held."""
        await self.eventually(f"{queue} has no consumer", lambda: self._has_no_consumer(queue))
        found: list[UUID] = []
        async with self._connection.channel() as channel:  # whose end hands the messages back
            declared = await channel.declare_queue(queue, passive=True)
            while (message := await declared.get(fail=False)) is not None:
                found += [execution_id(job.task_id, job.scheduled_for) for job in decode_jobs(message.body).jobs]
        return found

    async def purge(self, queue: str = WORK_QUEUE) -> None:
        """Lose all messages of `queue`."""
        async with self._connection.channel() as channel:
            await (await channel.declare_queue(queue, passive=True)).purge()

    async def _has_no_consumer(self, queue: str) -> bool:
        async with self._connection.channel() as channel:
            declared = await channel.declare_queue(queue, passive=True)
            return declared.declaration_result.consumer_count == 0

    async def eventually(self, what: str, happened: Callable[[], Awaitable[bool]]) -> None:
        """Returns once it has happened."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    if await happened():
                        return
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            rows = [(f"{row['scheduled_for']:%H:%M:%S}", row["state"], row["seq"]) for row in await self.rows()]
            raise TimeoutError(f"not within {PATIENCE_S} s: {what}; {rows}") from None

    async def settle(self) -> Account:
        """Wait until what is owed so far has ended, then stop all tasks and wait until nothing is open."""
        await self.ready()
        until = datetime.now(UTC)
        await self.eventually("all that is owed so far has ended", lambda: self._has_ended(until))
        await self.stop_tasks()
        await self.eventually("the scheduler knows", lambda: self.database.fetchval(FEED_IS_READ))
        await self.eventually("all that was owed has ended", lambda: self._has_ended(until))
        await self.eventually("nothing is open", self._is_quiet)
        return await self._account(until)

    async def _has_ended(self, until: datetime) -> bool:
        return not (await self._account(until)).unfinished()

    async def _is_quiet(self) -> bool:
        return not await self.rows("due", "waiting", "running")

    async def _account(self, until: datetime) -> Account:
        tasks = [
            Ended(
                WatchedTask(row["id"], row["name"], row["schedule"], row["starts_at"]),
                row["stops_at"] or until,
            )
            for row in await self.database.fetch(TASKS)
        ]
        return Account(tasks, until, await self.rows(), self.receiver.posts)
