"""SHELL. 100,000 executions owed at one instant: how fast they are rows, and how fast they are announced."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import aio_pika
import asyncpg

from bench import schedules
from bench.figures import at_least, row
from bench.stage import SCHEDULER, Stage, depth, take_all
from tocsin_local.errors import StackError
from tocsin_local.report import Row

TASKS = 100_000
RUNS = 3
AHEAD_S = (20, 60, 180)  # how long before the instant the scheduler is started; more where that was too little
POLL_S = 0.02
QUIET = timedelta(seconds=1)  # the queue has not grown for so long: nothing more comes
TIMEOUT_S = 180.0

COMMITTED = """
SELECT count(*) AS rows, min(created_at) AS first, max(created_at) AS last_insert,
       max(pg_xact_commit_timestamp(xmin)) AS last_commit
FROM executions WHERE scheduled_for = $1
"""


class Burst(NamedTuple):
    """One burst. Rates are executions a second from the first row on."""

    committed: float
    announced: float
    all_announced_s: float
    """From the instant itself until all were announced."""


async def measure(stage: Stage) -> list[Row]:
    """Rows of several bursts."""
    found = [await _burst(stage) for _ in range(RUNS)]
    unit = "executions/s"
    return [
        row("burst_100k_committed", [round(each.committed) for each in found], unit, at_least(40_000)),
        row("burst_100k_announced", [round(each.announced) for each in found], unit, at_least(30_000)),
        row("burst_100k_all_announced_after", [each.all_announced_s for each in found], "s"),
    ]


async def _burst(stage: Stage) -> Burst:
    for ahead_s in AHEAD_S:
        instant = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=ahead_s)
        await stage.prepare(TASKS, schedules.at(instant))
        try:
            _, leading = await stage.lead(SCHEDULER)
            if leading.at < instant - QUIET:
                return await _watch(stage, instant)
        finally:
            stage.services.stop()
    raise StackError(f"With {TASKS} tasks the scheduler was not ready {AHEAD_S[-1]} s after its start.")


async def _watch(stage: Stage, instant: datetime) -> Burst:
    async with stage.database() as database, stage.broker() as channel:
        await take_all(channel)
        await asyncio.sleep((instant - datetime.now(UTC)).total_seconds())
        announced_at = await _full(database, channel, instant)
        jobs = await take_all(channel)
        found = await database.fetchrow(COMMITTED, instant)
    tasks = len({job.task_id for job in jobs if job.scheduled_for == instant})
    if found["rows"] != TASKS or tasks != TASKS:
        raise StackError(f"Of {TASKS} executions {found['rows']} became rows and {tasks} were announced.")
    return Burst(
        TASKS / (found["last_commit"] - found["first"]).total_seconds(),
        TASKS / (announced_at - found["first"]).total_seconds(),
        (announced_at - instant).total_seconds(),
    )


async def _full(
    database: asyncpg.Connection, channel: aio_pika.abc.AbstractChannel, instant: datetime
) -> datetime:
    """When the queue grew for the last time; a queue holds what it has confirmed, and a little more."""
    known, grown_at = 0, datetime.now(UTC)
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            found = await depth(channel)
            now = datetime.now(UTC)
            if found > known:
                known, grown_at = found, now
            is_quiet = known > 0 and now - grown_at > QUIET
            if is_quiet and await database.fetchval("SELECT watermark >= $1 FROM scheduler_lease", instant):
                return grown_at
            await asyncio.sleep(POLL_S)
