"""ADAPTER. The partitions of `executions` and `task_logs`, one a day, there before a row needs them."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import asyncpg
import structlog

from tocsin_dispatcher import sql
from tocsin_dispatcher.clock import DatabaseClock

CHECK_S = 60.0
PARENTS = ("executions", "task_logs")
DAY = timedelta(days=1)
LOCK_KEY = 0x746F6373696F  # one process at a time makes partitions

_log = structlog.get_logger(__name__)


class Partitions:
    """Makes what is missing and remembers what is there."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._days: set[date] = set()

    async def cover(self, days: Iterable[date]) -> None:
        """Make sure that each of `days` (UTC) has its partitions."""
        for day in sorted(set(days) - self._days):
            await self._make(day)
            self._days.add(day)

    async def keep_ahead(self, clock: DatabaseClock, days: int, *, check_s: float = CHECK_S) -> None:
        """Cover today and the `days` after it, for ever."""
        while True:
            try:
                await self.cover(days_ahead(clock.now(), days))
            except asyncpg.LockNotAvailableError as error:  # somebody maintains the tables; there is time
                _log.warning("partitions.delayed", error=str(error))
            await asyncio.sleep(check_s)

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


def days_ahead(now: datetime, days: int) -> list[date]:
    """The day of `now` and the `days` after it."""
    return [now.date() + n * DAY for n in range(days + 1)]


def _bounds(day: date) -> str:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return f"FROM ('{start.isoformat()}') TO ('{(start + DAY).isoformat()}')"
