"""SHELL. How long nobody emits when the leader goes: by SIGTERM, by SIGKILL, and frozen by SIGSTOP.

One-off tasks owe an execution every 10 ms, so the time from the last row of the old leader to the first row of the
new one is the takeover, to 10 ms.
"""

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg

from bench import schedules
from bench.figures import at_most, row
from bench.stage import SCHEDULER, STANDBY, Stage
from tocsin_local.errors import StackError
from tocsin_local.report import Row

RUNS = 5
INTERVAL = timedelta(milliseconds=10)
TASKS = 6000  # a minute of them: longer than a run
SETTLE_S = 2.0  # by then the old leader has emitted many rows, and both have renewed and asked
ROW_TIMEOUT_S = 30.0
POLL_S = 0.02
WAYS = {
    "graceful": (signal.SIGTERM, at_most(0.5)),
    "sigkill": (signal.SIGKILL, at_most(6.5)),
    "sigstop": (signal.SIGSTOP, at_most(6.5)),
}

# Only the new leader writes after its `scheduler.leading`, and only the old one before.
ROWS = """
SELECT max(pg_xact_commit_timestamp(xmin)) FILTER (WHERE created_at < $1) AS last_of_the_old,
       min(pg_xact_commit_timestamp(xmin)) FILTER (WHERE created_at >= $1) AS first_of_the_new
FROM executions
"""


class Takeover(NamedTuple):
    """Times of one takeover in seconds."""

    between_rows_s: float
    """From the last row of the old leader to the first of the new one."""
    leading_s: float
    """From the signal to the new leader's `scheduler.leading`."""
    stepped_down_s: float
    """From SIGCONT to the old leader's `scheduler.stepped_down`; 0 where it was not frozen."""


async def measure(stage: Stage) -> list[Row]:
    """Rows of each way to go."""
    rows: list[Row] = []
    for way, (number, bound) in WAYS.items():
        found = [await _take_over(stage, number) for _ in range(RUNS)]
        rows += [
            row(f"takeover_{way}", [each.between_rows_s for each in found], "s", bound),
            row(f"takeover_{way}_leading", [each.leading_s for each in found], "s"),
        ]
        if number == signal.SIGSTOP:
            rows.append(row(f"takeover_{way}_stepped_down", [each.stepped_down_s for each in found], "s"))
    return rows


async def _take_over(stage: Stage, number: signal.Signals) -> Takeover:
    await stage.prepare(TASKS, schedules.one_offs(datetime.now(UTC), INTERVAL, TASKS))
    try:
        await stage.lead(SCHEDULER)
        stage.services.start([STANDBY], wait=False)
        await stage.logged(STANDBY, "tasks.loaded")
        await asyncio.sleep(SETTLE_S)
        sent_at = stage.signal(SCHEDULER, number)
        leading = await stage.logged(STANDBY, "scheduler.leading")
        async with stage.database() as database:
            between_rows_s = await _between_rows(database, leading.at)
        stepped_down_s = await _resume(stage) if number == signal.SIGSTOP else 0.0
    finally:
        stage.services.stop()
    return Takeover(between_rows_s, (leading.at - sent_at).total_seconds(), stepped_down_s)


async def _between_rows(database: asyncpg.Connection, leading_at: datetime) -> float:
    async with asyncio.timeout(ROW_TIMEOUT_S):
        found = await database.fetchrow(ROWS, leading_at)
        while found["first_of_the_new"] is None:
            await asyncio.sleep(POLL_S)
            found = await database.fetchrow(ROWS, leading_at)
    if found["last_of_the_old"] is None:
        raise StackError("The old leader has emitted nothing.")
    between: timedelta = found["first_of_the_new"] - found["last_of_the_old"]
    return between.total_seconds()


async def _resume(stage: Stage) -> float:
    resumed_at = stage.signal(SCHEDULER, signal.SIGCONT)
    stepped_down = await stage.logged(SCHEDULER, "scheduler.stepped_down")
    return (stepped_down.at - resumed_at).total_seconds()
