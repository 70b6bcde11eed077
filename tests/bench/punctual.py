"""SHELL. How late executions arrive at the sink, from the scheduler through two senders: at once, and steadily."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bench import arrivals, schedules
from bench.figures import at_most, row
from bench.schedules import When
from bench.sink_stage import SECOND_SENDER, SENDER, SinkStage
from bench.stage import SCHEDULER
from tocsin_common.messages import Job
from tocsin_local.errors import StackError
from tocsin_local.report import Row
from tocsin_local.summary import percentile

BURST = 5000
BURST_EVERY = timedelta(seconds=20)
EVERY_20_S = When("*/20 * * * * *")
RUNS = 3
A_SECOND, MINUTE = 200, timedelta(seconds=60)
WARM_UP = timedelta(seconds=5)
AHEAD = timedelta(seconds=1)  # what begins within so short a time is not waited for
LAST_S = 1.0  # most of what is owed last has arrived by then

OWED = "SELECT task_id, scheduled_for, destination FROM executions WHERE scheduled_for BETWEEN $1 AND $2"


async def measure_burst(stage: SinkStage) -> list[Row]:
    """5,000 executions of one instant; the first of four such instants is a warm-up."""
    await _start(stage, [EVERY_20_S] * BURST)
    first = schedules.next_multiple(datetime.now(UTC) + AHEAD, BURST_EVERY)
    runs = []
    for n in range(RUNS + 1):
        instant = first + n * BURST_EVERY
        runs.append(await _lateness_ms(stage, instant, instant, BURST))
    return [
        row("burst_5k_p50", [percentile(run, 50) / 1000 for run in runs[1:]], "s"),
        row("burst_5k_p99", [percentile(run, 99) / 1000 for run in runs[1:]], "s", at_most(1.2)),
    ]


async def measure_steady(stage: SinkStage) -> list[Row]:
    """200 executions at each second of a minute."""
    whens = [when for when in schedules.seconds_of_a_minute() for _ in range(A_SECOND)]
    await _start(stage, whens)
    first = datetime.now(UTC).replace(microsecond=0) + WARM_UP
    found = await _lateness_ms(stage, first, first + MINUTE - timedelta(seconds=1), len(whens))
    return [
        row("steady_200_a_second_p50", [percentile(found, 50)], "ms", at_most(20)),
        row("steady_200_a_second_p99", [percentile(found, 99)], "ms", at_most(80)),
    ]


async def _start(stage: SinkStage, whens: Sequence[When]) -> None:
    await stage.add(stage.bells(whens))
    await stage.settle()
    stage.services.start([SENDER, SECOND_SENDER])
    await stage.lead(SCHEDULER)


async def _lateness_ms(stage: SinkStage, first: datetime, last: datetime, executions: int) -> list[float]:
    """Of what is owed from `first` to `last`; each of it must have arrived once."""
    await asyncio.sleep((last - datetime.now(UTC)).total_seconds() + LAST_S)
    await stage.settled()
    async with stage.database() as database:
        jobs = [Job(*record) for record in await database.fetch(OWED, first, last)]
    owed = arrivals.instants(jobs)
    arrived = [each for each in await stage.sink.arrived() if each.execution_id in owed]
    arrivals.check(arrived, owed)
    if len(jobs) != executions:
        raise StackError(f"Of {executions} executions {len(jobs)} became rows.")
    return arrivals.lateness_ms(arrived, owed)
