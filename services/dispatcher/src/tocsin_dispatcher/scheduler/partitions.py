"""ADAPTER. The partitions of `executions` and `task_logs`, one a day: made ahead, dropped after the retention."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import asyncpg
import structlog

from tocsin_common.errors import TocsinError
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.scheduler import partition_sql
from tocsin_dispatcher.scheduler.revision import TICK

CHECK_S = 60.0
RETRY_S = 2.0
PARENTS = ("executions", "task_logs")
DAY = timedelta(days=1)
MOST_AHEAD = timedelta(days=366)  # an instant beyond is a mistake, and would leave a partition that nothing drops

# Somebody maintains the tables, or reads them for long: there is time.
_IN_THE_WAY = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, TimeoutError)

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
        for day in await self._days_before(self._retention.oldest() - DAY):
            self._days.discard(day)
            for row in await self._pool.fetch(partition_sql.DROP_PARTITIONS, day):
                if row["name"] is None:
                    _log.warning("partition.kept", day=day.isoformat(), reason="an execution has not ended")
                else:
                    _log.info("partition.dropped", partition=row["name"])
                    dropped += 1
        return dropped

    async def _days_before(self, end: date) -> list[date]:
        rows = await self._pool.fetch(partition_sql.DAILY_PARTITIONS, PARENTS)
        days = [day_of(row["day"]) for row in rows]
        return [day for day in days if day is not None and day < end]

    async def _make(self, day: date) -> None:
        for row in await self._pool.fetch(partition_sql.MAKE_PARTITIONS, day):
            _log.info("partition.made", partition=row["name"])


def days_ahead(now: datetime, days: int) -> list[date]:
    """The day of `now` and the `days` after it."""
    return [now.date() + n * DAY for n in range(days + 1)]


def day_of(name: str) -> date | None:
    """The day that a partition's name ends with; None where it is no day."""
    try:
        return datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
