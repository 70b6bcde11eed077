"""ADAPTER. Follows the tasks: one snapshot, then every revision whose transaction the snapshot could not see.

`position` is a transaction id X: everything committed with a lower one is known. A revision that commits late
still has an xid at or after X, so none can hide. A standby follows too, and remembers what changed at or after
the X of the lease: the last leader may have died before it emitted what that makes owed.
"""

import asyncio
import gc
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import asyncpg
import structlog

from tocsin_common.errors import TocsinError
from tocsin_dispatcher import metrics
from tocsin_dispatcher.clock import DatabaseClock, boottime
from tocsin_dispatcher.scheduler import feed_sql, lease_sql
from tocsin_dispatcher.scheduler.heap import Heap
from tocsin_dispatcher.scheduler.lease import Standing
from tocsin_dispatcher.scheduler.revision import NOWHERE, Change, Policy, Position, Revision, When

# A schedule that is new to the heap takes up to 0.4 ms. Between two looks at the database the transaction is idle,
# for 2 s at most, and whoever leads must renew the lease in time.
CURSOR_ROWS = 500
SCHEDULES_A_TURN = 50
# Where the lease's X says nothing: so long after it came into force a change may be there and not have been read.
UNREAD = timedelta(seconds=60)
TASK_COLUMNS, WHEN_COLUMNS, POLICY_COLUMNS = (
    slice(0, 5),
    slice(5, 10),
    slice(10, 12),
)  # what the statements begin with

_log = structlog.get_logger(__name__)


class DatabaseChangedError(TocsinError):
    """The connections lead to another database than before: nothing that is known of the tasks holds."""


class Feed:
    """Reads tasks into a heap."""

    def __init__(self, pool: asyncpg.Pool, clock: DatabaseClock) -> None:
        self._pool = pool
        self._clock = clock
        self.heap = Heap(datetime.max.replace(tzinfo=UTC))
        self.position = NOWHERE
        self.database_id: str | None = None
        """Of the database that the heap was loaded from; None where it must be loaded."""
        self.is_paused = False
        self.unsettled: list[Change] = []
        """Changes of which nobody has emitted yet what they make owed outside the usual order."""
        self._lease_database_id: str | None = None
        self._recent: list[Change] = []
        """What changed at or after the lease's X."""

    async def load(self) -> None:
        """Read all active tasks, and what changed since the lease's X.

        A copy of the database has the transactions of before, and so the lease's X holds in it. In any other
        one it says nothing: then what counts is what came into force after the watermark, or a while before.
        What of that was emitted has its rows, and is not emitted again.
        """
        self.database_id = None
        found = await self._pool.fetchrow(lease_sql.LEASE)
        if not is_copy(found["database_id"], found["current_database_id"]):
            await self._pool.execute(feed_sql.DISOWN_REVISIONS)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            lease = await connection.fetchrow(lease_sql.LEASE)
            is_ours = is_copy(lease["database_id"], lease["current_database_id"])
            snapshot = feed_sql.SNAPSHOT_BY_XID if is_ours else feed_sql.SNAPSHOT_BY_EFFECTIVE_FROM
            since = lease["feed_xid"] if is_ours else lease["watermark"] - UNREAD
            heap = Heap(lease["watermark"], reboot_at=lease["reboot_at"])
            sent_at = boottime()
            feed = await connection.fetch(snapshot.changes, since)
            for statement in (snapshot.before, snapshot.unchanged):
                await _load(heap, await connection.cursor(statement, since))
        self.heap, self._recent, self.unsettled = heap, [], []
        self._lease_database_id = lease["database_id"]
        self.database_id = lease["current_database_id"]
        await self._apply(feed, sent_at)
        gc.freeze()  # a million tasks are not looked through again and again for garbage
        _log.info("tasks.loaded", tasks=len(heap), schedules=heap.schedules)

    async def read(self) -> None:
        """Apply what has changed."""
        sent_at = boottime()
        await self._apply(await self._pool.fetch(feed_sql.FEED, *self.position), sent_at)

    async def follow(self) -> None:
        """Stand by: apply what has changed, and move on to where the leader is.

        Where the lease's X has come to mean something in this database, all tasks are to be loaded anew: what
        counts as changed since then was chosen without it. That is once, and not when a failover waits for it.
        """
        await self.read()
        lease = await self._pool.fetchrow(lease_sql.LEASE)
        if lease["database_id"] == self.database_id != self._lease_database_id:
            self.database_id = None
            return
        self.heap.advance(lease["watermark"])
        await self.step()
        if lease["database_id"] == self.database_id:
            self.committed(Position(lease["feed_xid"], lease["feed_snapshot"]))
        self.unsettled = []  # whoever takes over works out what is

    def adopted(self) -> None:
        """The lease's X is of this database from now on, by what this process has read and emitted."""
        self._lease_database_id = self.database_id

    async def take_over(self, standing: Standing) -> None:
        """Begin to lead where the last leader's commits end."""
        known = self._lease_database_id in (self.database_id, standing.database_id)
        if self.database_id is None or not known or self.heap.watermark > standing.watermark:
            await self.load()
        await self.read()
        self.heap.advance(standing.watermark)
        self.heap.reboot(standing.reboot_at)
        await self.step()
        is_ours = standing.database_id == self.database_id
        self.unsettled = [
            change for change in self._recent if not is_ours or not standing.settled.covers(change.xid)
        ]

    async def step(self) -> None:
        """Bring every entry of the heap past its watermark, and let others have their turn meanwhile."""
        for _ in self.heap.steps():
            await asyncio.sleep(0)

    def settled(self) -> None:
        """What the changes make owed was emitted."""
        self.unsettled = []

    def committed(self, position: Position) -> None:
        """The lease says that all up to `position` is dealt with: whoever leads next does not look at it."""
        self._recent = [change for change in self._recent if not position.covers(change.xid)]

    async def find_drift(self) -> int:
        """Compare the heap with one snapshot of the tasks, and mend it; returns how many tasks were wrong."""
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            sent_at = boottime()
            await self._apply(await connection.fetch(feed_sql.FEED, *self.position), sent_at)
            there = {row["bucket"]: (row["tasks"], row["total"]) for row in await connection.fetch(feed_sql.TALLY)}
            here = self.heap.tally()
            buckets = [bucket for bucket in there.keys() | here.keys() if there.get(bucket) != here.get(bucket)]
            if not buckets:
                return 0
            rows = await connection.fetch(feed_sql.TASKS_IN_BUCKETS, buckets)
        return self._mend([_revision(self.heap, row) for row in rows], self.heap.revisions_in(buckets))

    def _mend(self, there: list[Revision], here: dict[bytes, int]) -> int:
        wrong = [task for task in there if here.get(task.task_key) != (task.revision if task.is_active else None)]
        for task in wrong:
            self._remember(self.heap.replace(task)._replace(xid=self.position.xid))
        # What has no row is owed nothing any more, and what its heap has of it is no change of the task.
        gone = [_gone(key, here[key]) for key in here.keys() - {task.task_key for task in there}]
        for task in gone:
            self.heap.replace(task)
        for task in (*wrong, *gone):
            _log.error("task.drifted", task_id=str(task.task_id), revision=task.revision)
        metrics.TASKS_DRIFTED.inc(len(wrong) + len(gone))
        return len(wrong) + len(gone)

    async def _apply(self, rows: list[asyncpg.Record], sent_at: float) -> None:
        if rows[0]["database_id"] != self.database_id:
            self.database_id = None
            raise DatabaseChangedError("another database answers than before")
        changed = [row for row in rows if row["task_id"] is not None]
        for row in changed:
            change = self.heap.apply(_revision(self.heap, row))
            if change is not None:
                self._remember(change._replace(xid=row["xid"]))
            await asyncio.sleep(0)  # cron arithmetic takes time, and the lease must be renewed meanwhile
        self.heap.forget_inactive(keep={row["task_id"].bytes for row in changed})
        self.position = Position(rows[0]["next_xid"], rows[0]["snapshot"])
        self.is_paused = rows[0]["is_paused"]
        self._clock.sample(rows[0]["now"], sent_at=sent_at)
        self._tell_unreadable()
        _log.debug("changes.applied", revisions=len(changed), position=self.position.xid)

    def _remember(self, change: Change) -> None:
        self._recent.append(change)
        self.unsettled.append(change)

    def _tell_unreadable(self) -> None:
        for revision, error in self.heap.unreadable:
            when = revision.when
            _log.error(
                "schedule.unreadable",
                task_id=str(revision.task_id),
                schedule=when.schedule,
                timezone=when.timezone,
                error=repr(error),
            )
        self.heap.unreadable.clear()


async def _load(heap: Heap, cursor: Any) -> None:
    rest_at = SCHEDULES_A_TURN
    async with aclosing(_batches(cursor)) as batches:
        async for rows in batches:
            for row in rows:
                heap.load(_revision(heap, row))
                if heap.schedules >= rest_at:
                    rest_at = heap.schedules + SCHEDULES_A_TURN
                    await asyncio.sleep(0)


async def _batches(cursor: Any) -> AsyncGenerator[list[asyncpg.Record], None]:
    """All rows; PostgreSQL goes on to the next while some are taken in."""
    fetching = asyncio.create_task(cursor.fetch(CURSOR_ROWS))
    try:
        while rows := await fetching:
            fetching = asyncio.create_task(cursor.fetch(CURSOR_ROWS))
            yield rows
    finally:
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)  # then the connection is free again


def _revision(heap: Heap, row: asyncpg.Record) -> Revision:
    task_id, revision, effective_from, is_active, destination = row[TASK_COLUMNS]
    when, policy = heap.when(row[WHEN_COLUMNS]), _policy(*row[POLICY_COLUMNS])
    return Revision(task_id.bytes, revision, effective_from, is_active, destination, when, policy)


def _gone(task_key: bytes, revision: int) -> Revision:
    """A task that the table lacks, as one that owes nothing."""
    return Revision(task_key, revision, datetime.min.replace(tzinfo=UTC), False, "", When(None))


def is_copy(one: str | None, other: str | None) -> bool:
    """Whether both are of one system, be it on different timelines."""
    return one is not None and other is not None and one.partition("/")[0] == other.partition("/")[0]


_policy = cache(Policy)  # one object for all tasks that have the same
