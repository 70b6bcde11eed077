"""ADAPTER. The partitions of `executions` and `task_logs`, one a day: made ahead, dropped after the retention."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import asyncpg
import structlog

from tocsin_common.errors import TocsinError
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.scheduler import sql
from tocsin_dispatcher.scheduler.revision import TICK

CHECK_S = 60.0
RETRY_S = 2.0
PARENTS = ("executions", "task_logs")  # a day's logs go after its executions, which say what the logs are of
DAY = timedelta(days=1)
MOST_AHEAD = timedelta(days=366)  # an instant beyond is a mistake, and would leave a partition that nothing drops
LOCK_KEY = 0x746F6373696F  # one process at a time makes partitions
DROP_LOCK_KEY = LOCK_KEY + 1  # and one drops them, which must not hold up the first
MARK = "tocsin: to be dropped"  # what a partition is called before it is detached

# Somebody maintains the tables, reads them for long, or detaches partitions by hand: there is time.
_IN_THE_WAY = (asyncpg.LockNotAvailableError, asyncpg.ObjectNotInPrerequisiteStateError, TimeoutError)

_log = structlog.get_logger(__name__)


class OutsidePartitionsError(TocsinError):
    """A day so long ago that its rows would be removed at once, or so far ahead that it must be a mistake."""


class Retention(NamedTuple):
    """How long days are kept, and the clock that says what day it is."""

    clock: DatabaseClock
    days: int

    def oldest(self) -> date:
        """The oldest day that rows may still be added to: what was decided on a day ago may still be written."""
        return (self.clock.now() - self.days * DAY - DAY).date()

    def kept_from(self, decided_at: datetime) -> datetime:
        """The oldest instant that what is decided as of `decided_at` may write rows of.

        For a day this is the same whoever asks and when, so that a crash changes nothing of the decision. After
        that there are instants whose days may be gone.
        """
        # A row of missed instants may stand right before the newest of them.
        return max(decided_at - self.days * DAY, _midnight(self.oldest()) + TICK)

    def check(self, days: Iterable[date]) -> None:
        """Raise OutsidePartitionsError where one of `days` is not to have rows."""
        oldest, newest = self.oldest(), (self.clock.now() + MOST_AHEAD).date()
        outside = sorted(day for day in days if not oldest <= day <= newest)
        if outside:
            raise OutsidePartitionsError(
                f"{outside[0]} lies outside {oldest} to {newest}, which rows are kept for"
            )


class Partitions:
    """Makes what is missing, remembers what is there, and drops what `retention` ends; without one, nothing."""

    def __init__(self, pool: asyncpg.Pool, retention: Retention | None = None) -> None:
        self._pool = pool
        self._retention = retention
        self._days: set[date] = set()

    def forget(self) -> None:
        """What was there need not be there any more: the database may be another."""
        self._days.clear()

    def kept_from(self, decided_at: datetime) -> datetime | None:
        """The oldest instant that what is decided as of `decided_at` may write rows of; None: there is none."""
        return None if self._retention is None else self._retention.kept_from(decided_at)

    def oldest(self) -> datetime | None:
        """Instants before have no rows, and get none; None: there are none."""
        return None if self._retention is None else _midnight(self._retention.oldest())

    async def cover(self, days: Iterable[date]) -> None:
        """Make sure that each of `days` (UTC) has its partitions.

        Raises OutsidePartitionsError where one may have none; then nothing was made.
        """
        wanted = set(days)
        if self._retention is not None:
            self._retention.check(wanted)
        for day in sorted(wanted - self._days):
            await self._make(day)
            self._days.add(day)

    async def keep_ahead(self, clock: DatabaseClock, days: int, *, check_s: float = CHECK_S) -> None:
        """Cover today and the `days` after it, and drop what the retention ends, for ever."""
        while True:
            wait_s = RETRY_S  # soon: no task can be run by hand on a day without partitions
            try:
                await self.cover(days_ahead(clock.now(), days))
                wait_s = check_s
                await self.drop_old()
            except _IN_THE_WAY as error:
                _log.warning("partitions.delayed", error=repr(error))
            await asyncio.sleep(wait_s)

    async def drop_old(self) -> int:
        """Drop the partitions that the retention ends, where all their executions have ended; returns how many.

        A day is dropped one day after rows are refused for it: none is on its way by then. Where a lock holder is
        in the way this raises LockNotAvailableError, and the next call goes on where this one stopped.
        """
        if self._retention is None:
            return 0
        dropped = 0
        kept: set[date] = set()
        async with self._dropping() as connection:
            if connection is None:  # another process is at it
                return 0
            for parent in PARENTS:
                for partition in await _old_partitions(connection, parent, self._retention.oldest() - DAY):
                    if partition.day in kept:
                        continue
                    if await _is_open(connection, partition):
                        kept.add(partition.day)
                        _log.warning(
                            "partition.kept", partition=partition.name, reason="an execution has not ended"
                        )
                    else:
                        self._days.discard(partition.day)
                        await _drop(connection, partition)
                        dropped += 1
        return dropped

    @asynccontextmanager
    async def _dropping(self) -> AsyncIterator[asyncpg.Connection | None]:
        # Not in a transaction: DETACH … CONCURRENTLY is none. The settings and the lock end with the session.
        async with self._pool.acquire() as connection:
            try:
                await connection.execute("SET lock_timeout = '2s'")
                is_alone = await connection.fetchval("SELECT pg_try_advisory_lock($1)", DROP_LOCK_KEY)
                yield connection if is_alone else None
            finally:
                connection.terminate()

    async def _make(self, day: date) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '2s'")
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK_KEY)
            for parent in PARENTS:
                name = f"{parent}_{day:%Y%m%d}"
                attached = {row["relname"] for row in await connection.fetch(sql.PARTITIONS, parent)}
                if name not in attached:
                    # ATTACH, not CREATE … PARTITION OF: that would wait behind every reader and block inserts.
                    await connection.execute(
                        f"CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
                    )
                    await connection.execute(
                        f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES {_bounds(day)}"
                    )
                    _log.info("partition.made", partition=name)


class _Partition(NamedTuple):
    parent: str
    day: date
    is_attached: bool
    is_pending: bool
    """Its DETACH was interrupted."""

    @property
    def name(self) -> str:
        return f"{self.parent}_{self.day:%Y%m%d}"


def days_ahead(now: datetime, days: int) -> list[date]:
    """The day of `now` and the `days` after it."""
    return [now.date() + n * DAY for n in range(days + 1)]


async def _old_partitions(connection: asyncpg.Connection, parent: str, before: date) -> list[_Partition]:
    found = []
    for row in await connection.fetch(sql.DAILY_PARTITIONS, parent, MARK):
        day = day_of(row["name"])
        if day is not None and day < before:
            found.append(_Partition(parent, day, row["is_attached"], row["is_pending"]))
    # An interrupted DETACH comes first: until it is finished, no other one may begin.
    return sorted(found, key=lambda partition: (not partition.is_pending, partition.day))


async def _is_open(connection: asyncpg.Connection, partition: _Partition) -> bool:
    """Whether an execution has not ended in it. One that is being detached was looked at before."""
    if partition.parent != "executions" or partition.is_pending:
        return False
    question = f"SELECT EXISTS (SELECT FROM {partition.name} WHERE state IN ('due', 'waiting', 'running'))"  # noqa: S608 - its name was made of a date
    return bool(await connection.fetchval(question))


async def _drop(connection: asyncpg.Connection, partition: _Partition) -> None:
    parent, name = partition.parent, partition.name
    if partition.is_pending:
        await connection.execute(f"ALTER TABLE {parent} DETACH PARTITION {name} FINALIZE")
    elif partition.is_attached:
        # Marked first: what is detached and not dropped yet is then known for what it is.
        await connection.execute(f"COMMENT ON TABLE {name} IS '{MARK}'")
        # CONCURRENTLY, or it would wait behind every reader and block inserts meanwhile.
        await connection.execute(f"ALTER TABLE {parent} DETACH PARTITION {name} CONCURRENTLY")
    await connection.execute(f"DROP TABLE {name}")
    _log.info("partition.dropped", partition=name)


def day_of(name: str) -> date | None:
    """The day that a partition's name ends with; None where it is no day."""
    try:
        return datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _bounds(day: date) -> str:
    start = _midnight(day)
    return f"FROM ('{start.isoformat()}') TO ('{(start + DAY).isoformat()}')"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
