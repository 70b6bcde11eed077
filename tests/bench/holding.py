"""SHELL. What it takes to hold very many tasks: time until ready, memory, and the processor's time in a minute."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from bench import schedules, usage
from bench.figures import Bound, at_most, row
from bench.schedules import When
from bench.stage import SCHEDULER, Stage
from tocsin_local.errors import StackError
from tocsin_local.report import Row

RUNS = 3
AFTER_READY_S = 5.0  # what is done once after the start is over by then
MINUTE_S = 60.0


class Case(NamedTuple):
    """So many tasks in turn on these schedules, and what they should cost at the most."""

    name: str
    tasks: int
    whens: Sequence[When]
    ready: Bound
    memory: Bound | None
    cpu: Bound


class Ready(NamedTuple):
    """One start."""

    seconds: float
    memory_mb: float
    peak_mb: float


async def measure_million(stage: Stage) -> list[Row]:
    """A million tasks on 5,000 schedules, none of them due."""
    whens = schedules.far_off(5000, datetime.now(UTC))
    return await _measure(stage, Case("million", 1_000_000, whens, at_most(12), at_most(500), at_most(3)))


async def measure_hourly(stage: Stage) -> list[Row]:
    """100,000 tasks, each on a schedule of its own that fires hourly."""
    whens = schedules.hourly(100_000)
    return await _measure(stage, Case("hourly_100k", 100_000, whens, at_most(30), None, at_most(5)))


async def _measure(stage: Stage, case: Case) -> list[Row]:
    await stage.prepare(case.tasks, case.whens)
    found = []
    for run in range(RUNS):
        if run:
            stage.services.stop()
            await stage.settle()
        found.append(await start(stage, case.tasks))
    cpu_s = await _use_in_a_minute(stage.pid(SCHEDULER))
    return [
        row(f"{case.name}_ready", [each.seconds for each in found], "s", case.ready),
        row(f"{case.name}_memory", [each.memory_mb for each in found], "MB", case.memory),
        row(f"{case.name}_memory_peak", [each.peak_mb for each in found], "MB"),
        row(f"{case.name}_cpu_a_minute", [cpu_s], "s", case.cpu),
    ]


async def start(stage: Stage, tasks: int) -> Ready:
    """Start a scheduler that is to hold so many tasks."""
    started_at, leading = await stage.lead(SCHEDULER)
    if leading.facts["tasks"] != tasks:
        raise StackError(f"The scheduler leads with {leading.facts['tasks']} tasks of {tasks}.")
    pid = stage.pid(SCHEDULER)
    memory = usage.memory_mb(pid), usage.memory_mb(pid, "VmHWM")
    return Ready((leading.at - started_at).total_seconds(), *memory)


async def _use_in_a_minute(pid: int) -> float:
    await asyncio.sleep(AFTER_READY_S)
    before = usage.cpu_s(pid)
    await asyncio.sleep(MINUTE_S)
    return usage.cpu_s(pid) - before
