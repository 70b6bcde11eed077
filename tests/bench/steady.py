"""SHELL. Emission lateness at a steady rate: 30,000 tasks, 500 of them due in each second of a minute.

By the time of the commit, which PostgreSQL notes when it begins to write the commit to disk, and by `created_at`,
which the insert takes.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from bench import schedules
from bench.figures import at_most, row
from bench.stage import SCHEDULER, Stage
from tocsin_local.errors import StackError
from tocsin_local.report import Row
from tocsin_local.summary import percentile

TASKS = 30_000
WINDOW_S = 60
WARM_UP_S = 5
LAST_S = 5.0  # what is owed in the window's last second is a row by then
P50, P99 = at_most(8), at_most(30)

LATENESS = """
SELECT EXTRACT(EPOCH FROM pg_xact_commit_timestamp(xmin) - scheduled_for)::float8 * 1000 AS committed_ms,
       EXTRACT(EPOCH FROM created_at - scheduled_for)::float8 * 1000 AS inserted_ms
FROM executions WHERE scheduled_for > $1 AND scheduled_for <= $2
"""


async def measure(stage: Stage) -> list[Row]:
    """The lateness of all executions of one window."""
    await stage.prepare(TASKS, schedules.seconds_of_a_minute())
    await stage.lead(SCHEDULER)
    committed, inserted = await lateness_ms(stage, WINDOW_S, TASKS)
    return [
        row("lateness_500_a_second_p50", [percentile(committed, 50)], "ms", P50),
        row("lateness_500_a_second_p99", [percentile(committed, 99)], "ms", P99),
        row("lateness_created_at_p50", [percentile(inserted, 50)], "ms"),
        row("lateness_created_at_p99", [percentile(inserted, 99)], "ms"),
    ]


async def lateness_ms(stage: Stage, window_s: int, executions: int) -> tuple[list[float], list[float]]:
    """Of all executions of the next seconds, which must be so many: to the commit, and to `created_at`."""
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=WARM_UP_S)
    end = begin + timedelta(seconds=window_s)
    await asyncio.sleep((end - datetime.now(UTC)).total_seconds() + LAST_S)
    async with stage.database() as database:
        found = await database.fetch(LATENESS, begin, end)
    if len(found) != executions:
        raise StackError(f"Of {executions} executions {len(found)} became rows.")
    return [each["committed_ms"] for each in found], [each["inserted_ms"] for each in found]
