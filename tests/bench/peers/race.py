"""SHELL. What each contender is measured in: bursts, a steady load, and a kill in the middle of a burst."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import NamedTuple
from uuid import UUID

from bench import usage
from bench.figures import at_most, row
from bench.peers import work
from bench.peers.compared import OWN
from bench.peers.contender import Contender
from bench.peers.work import Offsets, Post, Speed, Survived
from bench.sink_stage import SinkStage
from tocsin_local.errors import StackError
from tocsin_local.report import Row

WARM_UP, BURST, LARGE = 2000, 5000, 20_000
RUNS = 3
A_SECOND, SECONDS = 200, 20
AHEAD_S = 3  # from when all is given to the first instant, where giving takes as long as is thought
PATIENCES = (1, 4, 10)  # times that which is thought: a busy machine takes longer
TIMEOUT_S = 300.0
PATIENCE_S = 75.0  # what a kill has left is taken up again by then: BullMQ takes a minute
POLL_S = 0.25


class Run(NamedTuple):
    """What was owed, and all of it posted once."""

    speed: Speed
    cpu_s: float
    """Of the contender's own processes, for 1,000 POSTs, from the first instant on."""
    server_cpu_s: float
    """Of its servers."""
    memory_mb: float
    """Of its own processes, at the end."""


async def measure(stage: SinkStage, contender: Contender) -> list[Row]:
    """5,000 at once, several times; 200 a second; and 5,000 with a kill."""
    origins = stage.sink.origins
    async with _running(contender):
        await _run(stage, contender, work.at_once(origins, WARM_UP))
        bursts = [await _run(stage, contender, work.at_once(origins, BURST)) for _ in range(RUNS)]
        steady = await _run(stage, contender, work.steadily(origins, A_SECOND, SECONDS))
        killed = await _run_with_kill(stage, contender, work.at_once(origins, BURST))
    name = contender.name
    return [*_burst_rows(f"{name}.burst_5k", bursts), *_steady_rows(name, steady), *_kill_rows(name, killed)]


async def measure_large(stage: SinkStage, contender: Contender) -> list[Row]:
    """20,000 at once."""
    origins = stage.sink.origins
    async with _running(contender):
        await _run(stage, contender, work.at_once(origins, WARM_UP))
        runs = [await _run(stage, contender, work.at_once(origins, LARGE)) for _ in range(RUNS)]
    return _burst_rows(f"{contender.name}.burst_20k", runs)


@asynccontextmanager
async def _running(contender: Contender) -> AsyncIterator[None]:
    try:
        await contender.start()
        yield
    finally:
        await contender.stop()


async def _run(stage: SinkStage, contender: Contender, offsets: Offsets) -> Run:
    owed = await _give(stage, contender, offsets)
    before = _used_s(contender)
    await stage.sink.reached(len(owed), timeout_s=TIMEOUT_S)
    await contender.settled()
    used = zip(_used_s(contender), before, strict=True)
    own_s, servers_s = ((after - then) * 1000 / len(owed) for after, then in used)
    memory_mb = sum(map(usage.tree_memory_mb, contender.pids()))
    return Run(work.speed(await stage.sink.arrived(), owed), own_s, servers_s, memory_mb)


async def _run_with_kill(stage: SinkStage, contender: Contender, offsets: Offsets) -> Survived:
    """Killed when half of it has arrived, and started again at once."""
    owed = await _give(stage, contender, offsets)
    await stage.sink.reached(len(owed) // 2, timeout_s=TIMEOUT_S)
    killed_at = datetime.now(UTC)
    contender.kill()
    contender.restart()
    await _quiet(stage)
    return work.survived(await stage.sink.arrived(), owed, killed_at)


async def _give(stage: SinkStage, contender: Contender, offsets: Offsets) -> Mapping[UUID, datetime]:
    """Return at the first instant; where it came before all was given, let that pass and give as much again."""
    for patience in PATIENCES:
        ahead_s = AHEAD_S + ceil(patience * contender.ahead_s * len(offsets) / 1000)
        first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=ahead_s)
        owed = await contender.give([Post(url, first + offset) for url, offset in offsets])
        left_s = (first - datetime.now(UTC)).total_seconds()
        if left_s >= 0:
            await asyncio.sleep(left_s)
            return owed
        await stage.sink.reached(len(owed), timeout_s=TIMEOUT_S)
        await contender.settled()
    raise StackError(f"{contender.name} cannot be given {len(offsets)} POSTs within {ahead_s} s.")


async def _quiet(stage: SinkStage) -> None:
    """Return once nothing has arrived for so long."""
    loop = asyncio.get_running_loop()
    known, grown_at = 0, loop.time()
    while loop.time() - grown_at < PATIENCE_S:
        if (found := stage.sink.count()) > known:
            known, grown_at = found, loop.time()
        await asyncio.sleep(POLL_S)


def _used_s(contender: Contender) -> tuple[float, float]:
    return _sum_s(contender.pids()), _sum_s(contender.server_pids())


def _sum_s(pids: Collection[int]) -> float:
    return sum(map(usage.tree_cpu_s, pids))


def _burst_rows(name: str, runs: Sequence[Run]) -> list[Row]:
    return [
        row(f"{name}.rate", [round(run.speed.rate) for run in runs], "jobs/s"),
        row(f"{name}.p50", [run.speed.p50_ms / 1000 for run in runs], "s"),
        row(f"{name}.p99", [run.speed.p99_ms / 1000 for run in runs], "s"),
        row(f"{name}.max", [run.speed.max_ms / 1000 for run in runs], "s"),
        row(f"{name}.cpu", [run.cpu_s for run in runs], "s/1,000"),
        row(f"{name}.server_cpu", [run.server_cpu_s for run in runs], "s/1,000"),
        row(f"{name}.memory", [run.memory_mb for run in runs], "MB"),
    ]


def _steady_rows(name: str, run: Run) -> list[Row]:
    return [
        row(f"{name}.steady.p50", [run.speed.p50_ms], "ms"),
        row(f"{name}.steady.p99", [run.speed.p99_ms], "ms"),
        row(f"{name}.steady.max", [run.speed.max_ms], "ms"),
        row(f"{name}.steady.cpu", [run.cpu_s], "s/1,000"),
    ]


def _kill_rows(name: str, killed: Survived) -> list[Row]:
    return [
        row(f"{name}.kill.lost", [killed.lost], "jobs", at_most(0) if name == OWN else None),
        row(f"{name}.kill.doubled", [killed.doubled], "jobs"),
        row(f"{name}.kill.last_after", [killed.last_after_s], "s"),
    ]
