"""SHELL. A scheduler with a thousand tasks, and with up to a million: its start, its memory, and how late it is.

In each case the same is due: ten tasks a second. All others are not due for months.
"""

from datetime import UTC, datetime

from bench import holding, schedules, steady
from bench.figures import row
from bench.schedules import When
from bench.stage import Stage
from tocsin_local.report import Row
from tocsin_local.summary import percentile

SIZES = {"1k": 1000, "10k": 10_000, "100k": 100_000, "1M": 1_000_000}
OF_EACH = 10  # tasks of one schedule
DISTINCT = 5000  # schedules at the most of those that are not due
RUNS = 3
WINDOW_S = 20


async def measure(name: str, stage: Stage) -> list[Row]:
    """The rows of one size."""
    tasks = SIZES[name]
    await stage.prepare(tasks, whens(tasks, datetime.now(UTC)))
    found = []
    for run in range(RUNS):
        if run:
            stage.services.stop()
            await stage.settle()
        found.append(await holding.start(stage, tasks))
    committed, _ = await steady.lateness_ms(stage, WINDOW_S, WINDOW_S * OF_EACH)
    return [
        row(f"{name}.tasks.ready", [each.seconds for each in found], "s"),
        row(f"{name}.tasks.memory", [each.memory_mb for each in found], "MB"),
        row(f"{name}.tasks.p50", [percentile(committed, 50)], "ms"),
        row(f"{name}.tasks.p99", [percentile(committed, 99)], "ms"),
    ]


def whens(tasks: int, now: datetime) -> list[When]:
    """As many as there are tasks for, of which ten in turn get each: one for each second, the others far off."""
    due = schedules.seconds_of_a_minute()
    idle = schedules.far_off(DISTINCT, now)
    return due + [idle[n % len(idle)] for n in range(tasks // OF_EACH - len(due))]
