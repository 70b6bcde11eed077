"""ADAPTER. Which scheduler leads: one row on the database's clock, with an epoch that rises with each leader."""

import asyncio
from datetime import datetime, timedelta
from typing import NamedTuple

import asyncpg
import structlog

from tocsin_common.database import CONNECTION_ERRORS
from tocsin_common.errors import TocsinError
from tocsin_dispatcher.clock import DatabaseClock, boottime
from tocsin_dispatcher.scheduler import lease_sql
from tocsin_dispatcher.scheduler.revision import Position

RETRY_S = 0.2

_log = structlog.get_logger(__name__)


class LeaseLostError(TocsinError):
    """Another scheduler may lead: step down."""


class Standing(NamedTuple):
    """Where the new leader begins."""

    epoch: int
    watermark: datetime
    feed_xid: int
    feed_snapshot: str | None
    database_id: str | None
    """Of which database these two are."""
    gap_until: datetime | None
    """A gap that the last leader was catching up with ends here."""
    gap_snapshot: str | None
    """The transactions that it knew when it decided on that."""
    reboot_at: datetime | None
    """When scheduling last started anew."""

    @property
    def settled(self) -> Position:
        """The changes that the last leader had dealt with."""
        return Position(self.feed_xid, self.feed_snapshot)


class Lease:
    """The lease as one process sees it. `holder` must be unique to the process."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        clock: DatabaseClock,
        *,
        holder: str,
        ttl_s: float,
        renew_s: float,
        hold_s: float,
        reboot_after_s: float,
    ) -> None:
        """`reboot_after_s`: where nobody has led for so long, scheduling starts anew."""
        self._pool = pool
        self._clock = clock
        self.holder = holder
        self.epoch = 0
        self.database_id = ""
        """Of the database that the lease was taken in, and holds in."""
        self._ttl = timedelta(seconds=ttl_s)
        self._renew_s = renew_s
        self._hold_s = hold_s
        self._reboot_after = timedelta(seconds=reboot_after_s)
        self._holding: tuple[int, int, datetime | None] = (0, 0, None)
        self._held_until = 0.0

    async def take(self, *, free_for_s: float = 0.0) -> Standing | None:
        """Lead if nobody does: a compare-and-set, epoch + 1. None where another scheduler leads.

        `free_for_s`: others come first, and nobody has wanted the lease for so long.
        """
        sent, free_for = boottime(), timedelta(seconds=free_for_s)
        row = await self._pool.fetchrow(lease_sql.TAKE_LEASE, self.holder, self._ttl, self._reboot_after, free_for)
        if row is None:
            return None
        self._clock.sample(row["now"], sent_at=sent)
        self.epoch, self.database_id = row["epoch"], row["current_database_id"]
        self._held_until = sent + self._hold_s
        return Standing(*(row[field] for field in Standing._fields))

    @property
    def is_held(self) -> bool:
        """Whether this process leads, judged by its own clock."""
        return boottime() < self._held_until

    def show(self, *, tasks: int, schedules: int, next_due_at: datetime | None = None) -> None:
        """Say with the next renewals how much this leader holds, and when something of it is due."""
        self._holding = (tasks, schedules, next_due_at)

    def check(self) -> None:
        """Raise LeaseLostError where the lease may have expired, judged by this process's own clock."""
        if not self.is_held:
            raise LeaseLostError("the lease was not renewed in time")

    async def keep(self) -> None:
        """Renew for ever; raises LeaseLostError once the lease is or may be another's."""
        while True:
            await asyncio.sleep(self._renew_s)
            while not await self._renew():
                self.check()
                await asyncio.sleep(RETRY_S)

    async def release(self) -> bool:
        """Let the next scheduler lead at once; False where another one does already."""
        self._held_until = 0.0
        return bool(await self._pool.fetchval(lease_sql.RELEASE_LEASE, self.holder, self.epoch))

    async def _renew(self) -> bool:
        sent = boottime()
        try:
            async with asyncio.timeout(max(0.0, self._held_until - sent)):
                now = await self._pool.fetchval(
                    lease_sql.RENEW_LEASE, self.holder, self.epoch, self._ttl, *self._holding
                )
        except CONNECTION_ERRORS as error:
            _log.warning("lease.renewal_failed", error=repr(error))
            return False
        if now is None:
            raise LeaseLostError("another scheduler took the lease")
        self._clock.sample(now, sent_at=sent)
        self._held_until = sent + self._hold_s
        return True
