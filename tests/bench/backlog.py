"""SHELL. The memory of a sender with very many executions announced, until they are all done."""

from typing import NamedTuple

from bench import usage
from bench.figures import at_most, row
from bench.sink_stage import SENDER, SinkStage
from tocsin_local.report import Row

EXECUTIONS = 50_000
RUNS = 3


class Memory(NamedTuple):
    """Of one sender, resident, in MB."""

    idle: float
    """When it is ready and has done nothing yet."""
    peak: float
    """The highest until all was done."""


async def measure(stage: SinkStage) -> list[Row]:
    """Rows of several senders, each with its backlog."""
    found = [await _work_off(stage) for _ in range(RUNS)]
    return [
        row("memory_sender_idle", [each.idle for each in found], "MB"),
        row("memory_sender_50k_announced", [each.peak for each in found], "MB", at_most(150)),
    ]


async def _work_off(stage: SinkStage) -> Memory:
    jobs = await stage.owe(await stage.add(stage.silent_bells(EXECUTIONS)))
    stage.services.start([SENDER])
    try:
        idle = usage.memory_mb(stage.pid(SENDER))
        await stage.let_go(jobs, [SENDER])
        await stage.delivered(jobs)
        return Memory(idle, usage.memory_mb(stage.pid(SENDER), "VmHWM"))
    finally:
        stage.services.stop()
