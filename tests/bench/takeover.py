"""SHELL. How long nobody emits when the leader goes: by SIGTERM, by SIGKILL, and frozen by SIGSTOP.

Schedules know whole seconds only, so from the last row of the old leader to the first row of the new one it would be
a whole second where the takeover took a millisecond. So the signal is sent just before a whole second: that instant
becomes owed while nobody leads, and the new leader emits it as soon as it can. The time from the signal to that row
is the takeover. A run in which the old leader still emits the instant is repeated.
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

TASKS = 1000
RUNS = 3
ATTEMPTS = 5
BEFORE_THE_SECOND = timedelta(milliseconds=50)
SETTLE_S = 3.0  # the standby knows the tasks by then, and both have renewed and asked several times
ROW_TIMEOUT_S = 30.0
POLL_S = 0.02
WAYS = {
    "graceful": (signal.SIGTERM, at_most(0.5)),
    "sigkill": (signal.SIGKILL, at_most(6.5)),
    "sigstop": (signal.SIGSTOP, at_most(6.5)),
}


class Takeover(NamedTuple):
    """Times of one takeover in seconds."""

    row_s: float
    """From the signal to the new leader's first row."""
    leading_s: float
    """From the signal to its `scheduler.leading`."""
    between_rows_s: float
    """From the last row of the old leader, which is up to a second before the signal."""
    stepped_down_s: float
    """From SIGCONT to the old leader's `scheduler.stepped_down`; 0 where it was not frozen."""


async def measure(stage: Stage) -> list[Row]:
    """Rows of each way to go."""
    await stage.prepare(TASKS, schedules.every_second())
    rows: list[Row] = []
    for way, (number, bound) in WAYS.items():
        found = [await _take_over(stage, number) for _ in range(RUNS)]
        rows += [
            row(f"takeover_{way}", [each.row_s for each in found], "s", bound),
            row(f"takeover_{way}_leading", [each.leading_s for each in found], "s"),
            row(f"takeover_{way}_between_rows", [each.between_rows_s for each in found], "s"),
        ]
        if number == signal.SIGSTOP:
            rows.append(row(f"takeover_{way}_stepped_down", [each.stepped_down_s for each in found], "s"))
    return rows


async def _take_over(stage: Stage, number: signal.Signals) -> Takeover:
    for _ in range(ATTEMPTS):
        await stage.settle()
        try:
            found = await _try(stage, number)
        finally:
            stage.services.stop()
        if found is not None:
            return found
    raise StackError(f"In {ATTEMPTS} attempts the old leader was always faster than {number.name}.")


async def _try(stage: Stage, number: signal.Signals) -> Takeover | None:
    """None where the old leader emitted after the signal."""
    await stage.lead(SCHEDULER)
    stage.services.start([STANDBY], wait=False)
    await stage.logged(STANDBY, "scheduler.started")
    await asyncio.sleep(SETTLE_S)
    sent_at = await _send_just_before_a_second(stage, number)
    leading_at = (await stage.logged(STANDBY, "scheduler.leading")).at
    async with stage.database() as database:
        row_at = await _first_row(database, leading_at)
        last_at = await database.fetchval(
            "SELECT max(created_at) FROM executions WHERE created_at < $1", leading_at
        )
    stepped_down_s = await _resume(stage) if number == signal.SIGSTOP else 0.0
    if last_at is None or last_at > sent_at:
        return None
    return Takeover(
        (row_at - sent_at).total_seconds(),
        (leading_at - sent_at).total_seconds(),
        (row_at - last_at).total_seconds(),
        stepped_down_s,
    )


async def _send_just_before_a_second(stage: Stage, number: signal.Signals) -> datetime:
    now = datetime.now(UTC)
    second = now.replace(microsecond=0) + timedelta(seconds=2)
    await asyncio.sleep((second - BEFORE_THE_SECOND - now).total_seconds())
    return stage.signal(SCHEDULER, number)


async def _first_row(database: asyncpg.Connection, since: datetime) -> datetime:
    """Only the new leader writes after its `scheduler.leading`."""
    async with asyncio.timeout(ROW_TIMEOUT_S):
        while True:
            found: datetime | None = await database.fetchval(
                "SELECT min(created_at) FROM executions WHERE created_at >= $1", since
            )
            if found is not None:
                return found
            await asyncio.sleep(POLL_S)


async def _resume(stage: Stage) -> float:
    resumed_at = stage.signal(SCHEDULER, signal.SIGCONT)
    stepped_down = await stage.logged(SCHEDULER, "scheduler.stepped_down")
    return (stepped_down.at - resumed_at).total_seconds()
