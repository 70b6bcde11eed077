"""ADAPTER. Removes what is left of deleted tasks: their executions and logs first, at last their rows.

No read shows them any more, so there is time: a statement removes few rows and holds none but theirs, and most of
the time is spent waiting. Each is right however often it runs and whoever else does the same, so a crash between
two of them costs nothing.
"""

import asyncio
from datetime import timedelta
from uuid import UUID

import asyncpg
import structlog

from tocsin_common import failpoints
from tocsin_common.database import CONNECTION_ERRORS
from tocsin_dispatcher.clock import boottime
from tocsin_dispatcher.scheduler import removal_sql

CHECK_S = 10.0
PAGE = 100  # tasks that are looked at in one statement
PAUSE_S = 0.05  # after each statement, but at least REST times what it took
REST = 2.0
# Every scheduler has read the feed by then, so that none knows of a task that is gone.
FORGET_AFTER = timedelta(minutes=10)
FIRST = UUID(int=0)

_log = structlog.get_logger(__name__)


class Remover:
    """Removes while this process leads."""

    def __init__(
        self, pool: asyncpg.Pool, *, check_s: float = CHECK_S, forget_after: timedelta = FORGET_AFTER
    ) -> None:
        self._pool = pool
        self._check_s = check_s
        self._forget_after = forget_after

    async def run(self) -> None:
        """Remove for ever."""
        while True:
            try:
                await self.remove_all()
            except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
                # The loop's edge: nobody waits for this, and a term must not end for it.
                _log.warning("removal.delayed", error=repr(error))
            await asyncio.sleep(self._check_s)

    async def remove_all(self) -> None:
        """Go through all deleted tasks once. What has not ended yet is left to the next time."""
        after: tuple[object, UUID] = (None, FIRST)
        while tasks := await self._ask(removal_sql.DELETED_TASKS, *after, PAGE):
            after = tasks[-1]["updated_at"], tasks[-1]["id"]
            for task in tasks:
                if task["has_remains"]:
                    await self._remove(task["id"])
            await self._forget([task["id"] for task in tasks])

    async def _remove(self, task_id: UUID) -> None:
        counts = {}
        for what, remains in (
            ("logs", removal_sql.REMAINING_LOGS),
            ("executions", removal_sql.REMAINING_EXECUTIONS),
        ):
            counts[what] = 0
            while removed := await self._remove_some(remains, task_id):
                counts[what] += removed
        _log.info("task.remains_removed", task_id=str(task_id), **counts)

    async def _remove_some(self, remains: removal_sql.Remains, task_id: UUID) -> int:
        [place] = await self._ask(remains.place, task_id)
        if place["first"] is None:
            return 0
        removed = await self._ask(remains.remove, task_id, place["first"], place["last"])
        failpoints.reach("scheduler.remains_removed")
        return len(removed)

    async def _forget(self, ids: list[UUID]) -> None:
        for row in await self._ask(removal_sql.FORGET_TASKS, ids, self._forget_after):
            _log.info("task.forgotten", task_id=str(row["id"]))

    async def _ask(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """The rows; afterwards others have the database for longer than this had it."""
        began = boottime()
        rows: list[asyncpg.Record] = await self._pool.fetch(statement, *arguments)
        await asyncio.sleep(max(PAUSE_S, REST * (boottime() - began)))
        return rows
