"""SHELL. Thousands of executions that are owed at one instant, and what becomes of them."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from e2e.processes import Tocsin
from faults.owing import Database, OwingTask, write_tasks
from tocsin_common.messages import execution_id
from tocsin_common.sealing import Sealer
from tocsin_local.receiver import Receiver
from waiting import eventually

SIZE = 5000
CHUNKS = 50  # statements that its rows are committed with, so that there is a middle
SETTLE_S = 120.0

PAUSE = "UPDATE scheduler_pause SET paused_at = clock_timestamp()"
RESUME = "UPDATE scheduler_pause SET paused_at = NULL"
PROGRESS = """
SELECT (SELECT count(*) FROM executions), watermark < $1 FROM scheduler_lease
"""
STATES = "SELECT state, count(*) AS executions FROM executions GROUP BY state"


class Burst:
    """Nothing of it is emitted before `begin`, so everything that it is to meet can be ready."""

    def __init__(self, database: Database, receiver: Receiver, size: int) -> None:
        self.size = size
        self._database = database
        self._receiver = receiver
        self.webhook = receiver.add()

    async def prepare(self, sealer: Sealer) -> None:
        """Write the tasks while scheduling is paused. The instant comes within a second."""
        await self._database.execute(PAUSE)
        now = await self._database.fetchval("SELECT clock_timestamp()")
        self.instant: datetime = now.replace(microsecond=0) + timedelta(seconds=1)
        task = OwingTask(f"{self.instant:%-S %-M %-H %-d %-m} *")
        ids = await write_tasks(self._database, sealer, self.webhook.url, [task] * self.size, now)
        self.executions = {execution_id(task_id, self.instant) for task_id in ids}

    async def begin(self) -> None:
        """Let it be emitted."""
        await self._database.execute(RESUME)

    async def begin_until_frozen(self, leader: Tocsin) -> None:
        """Let `leader` emit it until it freezes, in the middle."""
        await self.begin()
        await leader.frozen()
        rows, is_unfinished = await self._database.fetchrow(PROGRESS, self.instant)
        assert 0 < rows < self.size
        assert is_unfinished

    async def settled(self) -> None:
        """Returns once every execution has succeeded."""
        try:
            await eventually(self._has_succeeded, timeout_s=SETTLE_S)
        except TimeoutError:
            states = dict(await self._database.fetch(STATES))
            raise TimeoutError(f"after {len(self._receiver.posts)} POSTs: {states}") from None

    async def recorded(self) -> set[UUID]:
        """The executions that have a log row."""
        rows = await self._database.fetch("SELECT task_id, scheduled_for FROM task_logs")
        return {execution_id(row["task_id"], row["scheduled_for"]) for row in rows}

    async def problems(self, *, doubled: Iterable[UUID] = ()) -> list[str]:
        """What is not as it should be, in words.

        It should be that each task has one row, which succeeded, and that each was posted once, but for
        `doubled`, which were posted twice; and no other row, no other POST, none early.
        """
        rows = await self._database.fetch("SELECT task_id, scheduled_for, state FROM executions")
        states = {execution_id(row["task_id"], row["scheduled_for"]): row["state"] for row in rows}
        posted = Counter(post.execution_id for post in self._receiver.posts)
        expected = Counter(self.executions) + Counter(doubled)
        wrong = {key for key in posted | expected if posted[key] != expected[key]}
        early = [post.execution_id for post in self._receiver.posts if post.arrived_at < self.instant]
        return [
            *(f"{key} has no row" for key in self.executions - states.keys()),
            *(f"{key} is owed by nobody" for key in states.keys() - self.executions),
            *(f"{key} is {state}" for key, state in states.items() if state != "succeeded"),
            *(f"{key} was posted {posted[key]} times" for key in wrong),
            *(f"{key} was posted early" for key in early),
        ]

    async def _has_succeeded(self) -> bool:
        if len(self._receiver.posts) < self.size:
            return False  # without asking: the database has enough to do
        states = dict(await self._database.fetch(STATES))
        return states == {"succeeded": self.size}
