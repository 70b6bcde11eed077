"""ADAPTER. Brings back what the broker or a process lost: the rows know what is owed, messages do not."""

import asyncio
from datetime import timedelta

import asyncpg
import structlog

from tocsin_common import failpoints, topology
from tocsin_common.broker import BROKER_ERRORS
from tocsin_common.messages import Job, JobMessage, execution_id, pack
from tocsin_common.settings import SchedulerSettings
from tocsin_dispatcher import metrics
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.scheduler import sweep_sql
from tocsin_dispatcher.scheduler.lease import Lease
from tocsin_dispatcher.scheduler.partitions import Partitions

_log = structlog.get_logger(__name__)


class Sweeper:
    """Sweeps while this process leads."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        lease: Lease,
        partitions: Partitions,
        publisher: Publisher,
        settings: SchedulerSettings,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._partitions = partitions
        self._publisher = publisher
        self._settings = settings

    async def run(self) -> None:
        """Sweep at every interval; the first time with the patience that senders need after an outage."""
        await asyncio.sleep(self._settings.sweep_outage_patience_s)
        while True:
            try:
                await self._publisher.ready()
                await self.give_up()
                await self.finish_once()
                await self.announce_again()
            except BROKER_ERRORS as error:
                _log.warning("sweep.broken_off", error=repr(error))
            await asyncio.sleep(self._settings.sweep_interval_s)

    async def give_up(self) -> int:
        """Fail what is too old or lost too many claims; operators see it in the dead queue."""
        rows = await self._pool.fetch(
            sweep_sql.GIVE_UP,
            self._lease.holder,
            self._lease.epoch,
            self._settings.max_lost_claims,
            self._settings.sweep_batch,
        )
        metrics.EXECUTIONS_GIVEN_UP.inc(len(rows))
        for row in rows:
            _log.error(
                "execution.given_up",
                execution_id=str(execution_id(row["task_id"], row["scheduled_for"])),
                task_id=str(row["task_id"]),
                reason=row["reason"],
            )
            await self._publisher.publish_dead(_job(row), row["reason"], failures=row["failures"])
        return len(rows)

    async def finish_once(self) -> int:
        """Make tasks whose one run has ended, or is not to come any more, INACTIVE; returns how many."""
        rows = await self._pool.fetch(
            sweep_sql.FINISH_ONCE,
            self._lease.holder,
            self._lease.epoch,
            self._settings.sweep_batch,
            self._partitions.oldest(),
        )
        for row in rows:
            _log.info("task.finished", task_id=str(row["task_id"]))
        return len(rows)

    async def announce_again(self) -> int:
        """Announce what is overdue; returns how many executions.

        While senders have enough to do, only what no message tells of: the claims that a sender has left behind.
        """
        is_deep = await self._publisher.depth(topology.WORK_QUEUE) > self._settings.sweep_quiet_depth
        rows = await self._pool.fetch(
            sweep_sql.OVERDUE,
            self._lease.holder,
            self._lease.epoch,
            timedelta(seconds=self._settings.sweep_patience_s),
            self._settings.sweep_batch,
            is_deep,
        )
        if rows:
            failpoints.reach("scheduler.swept")
            metrics.EXECUTIONS_ANNOUNCED_AGAIN.inc(len(rows))
            _log.warning("executions.announced_again", executions=len(rows))
        # What may have cost a sender its life travels alone.
        alone = [JobMessage(jobs=[_job(row)]) for row in rows if row["state"] == "running"]
        together = [_job(row) for row in rows if row["state"] != "running"]
        await self._publisher.publish_all([*alone, *pack(together, self._settings.jobs_per_message)])
        return len(rows)


def _job(row: asyncpg.Record) -> Job:
    return Job(row["task_id"], row["scheduled_for"], row["destination"])
