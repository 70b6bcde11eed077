"""ADAPTER. Follows the tasks: one snapshot, then every revision whose transaction the snapshot could not see.

`position` is a transaction id X: everything committed with a lower one is known. A revision that commits late
still has an xid at or after X, so none can hide.
"""

import asyncio

import asyncpg
import structlog

from tocsin_dispatcher import sql
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.scheduler.heap import Heap, Revision, Span
from tocsin_dispatcher.scheduler.lease import Standing

# A schedule that is new to the heap takes up to 0.4 ms. Between two looks at the database the transaction is idle,
# for 2 s at most, and the lease must be renewed in time.
CURSOR_ROWS = 500

_log = structlog.get_logger(__name__)


class Feed:
    """Reads tasks into a heap."""

    def __init__(self, pool: asyncpg.Pool, clock: DatabaseClock) -> None:
        self._pool = pool
        self._clock = clock
        self.position = 0

    async def load(self, standing: Standing) -> tuple[Heap, list[Span]]:
        """A heap as of the last leader's position, and what later changes make owed at once.

        Every revision at or after that position counts as seen late: the last leader may have died before
        it applied it.
        """
        heap = Heap(standing.watermark)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            feed = await connection.fetch(sql.FEED, standing.feed_xid)
            for statement in (sql.REVISIONS_BEFORE, sql.UNCHANGED_ACTIVE_TASKS):
                async for row in connection.cursor(statement, standing.feed_xid, prefetch=CURSOR_ROWS):
                    heap.load(_revision(row))
        return heap, await self._apply(heap, feed)

    async def read(self, heap: Heap) -> list[Span]:
        """Apply what has changed to `heap`; returns what that makes owed at once."""
        return await self._apply(heap, await self._pool.fetch(sql.FEED, self.position))

    async def _apply(self, heap: Heap, rows: list[asyncpg.Record]) -> list[Span]:
        revisions = [_revision(row) for row in rows if row["task_id"] is not None]
        late: list[Span] = []
        for revision in revisions:
            late += heap.apply(revision)
            await asyncio.sleep(0)  # cron arithmetic takes time, and the lease must be renewed meanwhile
        heap.forget_inactive(keep={revision.task_id for revision in revisions})
        self.position = rows[0]["next_xid"]
        self._clock.sample(rows[0]["now"])
        _log.debug("changes.applied", revisions=len(revisions), position=self.position)
        return late


def _revision(row: asyncpg.Record) -> Revision:
    return Revision(*(row[field] for field in Revision._fields))
