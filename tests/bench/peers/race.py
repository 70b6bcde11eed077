"""SHELL. What contenders are measured in, in rounds: bursts, a steady load, a burst with a kill."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from bench.figures import at_most, row
from bench.peers import work
from bench.peers.compared import OWN
from bench.peers.runs import Run, Runner
from bench.peers.work import Survived
from tocsin_local.errors import StackError
from tocsin_local.report import Row

T = TypeVar("T")
Turn = Callable[[Runner], Awaitable[T]]

BURST, LARGE = 5000, 20_000
WARM_UP = BURST  # for connections to all receivers, plans and caches: each turn has new processes
BURSTS = (3, 2, 2)  # in each round
LARGES = (1, 1, 1)
A_SECOND, SECONDS = 200, 10


class Measured(NamedTuple):
    """One turn of a contender."""

    bursts: Sequence[Run]
    steady: Run
    killed: Survived


async def measure(runners: Sequence[Runner]) -> list[Row]:
    """5,000 at once, 200 a second, and 5,000 with a kill."""
    found = await rounds(runners, [partial(_turn, bursts=bursts) for bursts in BURSTS])
    return [each for name, turns in found.items() for each in _rows(name, turns)]


async def measure_large(runners: Sequence[Runner]) -> list[Row]:
    """20,000 at once."""
    found = await rounds(runners, [partial(_bursts, count=LARGE, bursts=bursts) for bursts in LARGES])
    return [each for name, turns in found.items() for each in _burst_rows(f"{name}.burst_20k", _flat(turns))]


async def rounds(runners: Sequence[Runner], turns: Sequence[Turn[T]]) -> dict[str, list[T]]:
    """What each has found in each round, by name; who has failed once has found nothing.

    One at a time has its processes, and each round begins with another one.
    """
    found: dict[str, list[T]] = {runner.contender.name: [] for runner in runners}
    for n, turn in enumerate(turns):
        for runner in turned(runners, n):
            name = runner.contender.name
            if name not in found:
                continue
            print(f"Round {n + 1} of {len(turns)}: {name} …", flush=True)
            try:
                async with runner.running():
                    found[name].append(await turn(runner))
            except StackError as error:
                if name == OWN:
                    raise
                print(f"{name} has not done its work, so it has no figures: {error}", flush=True)
                del found[name]
    return found


def turned(items: Sequence[T], by: int) -> Iterator[T]:
    """All of them, first the one that is `by` later."""
    return (items[(n + by) % len(items)] for n in range(len(items)))


async def _turn(runner: Runner, *, bursts: int) -> Measured:
    return Measured(
        await _bursts(runner, count=BURST, bursts=bursts),
        await runner.run(work.steadily(runner.origins, A_SECOND, SECONDS)),
        await runner.killed(work.at_once(runner.origins, BURST)),
    )


async def _bursts(runner: Runner, *, count: int, bursts: int) -> list[Run]:
    await runner.run(work.at_once(runner.origins, WARM_UP))
    return [await runner.run(work.at_once(runner.origins, count)) for _ in range(bursts)]


def _rows(name: str, turns: Sequence[Measured]) -> list[Row]:
    return [
        *_burst_rows(f"{name}.burst_5k", _flat(turn.bursts for turn in turns)),
        *_steady_rows(f"{name}.steady", [turn.steady for turn in turns]),
        *_kill_rows(f"{name}.kill", [turn.killed for turn in turns], is_own=name == OWN),
    ]


def _burst_rows(name: str, runs: Sequence[Run]) -> list[Row]:
    return [
        row(f"{name}.rate", [round(run.speed.rate) for run in runs], "jobs/s"),
        row(f"{name}.p50", [run.speed.p50_ms / 1000 for run in runs], "s"),
        row(f"{name}.p99", [run.speed.p99_ms / 1000 for run in runs], "s"),
        row(f"{name}.max", [run.speed.max_ms / 1000 for run in runs], "s"),
        row(f"{name}.cpu", [run.cpu_s for run in runs], "s/1,000"),
        row(f"{name}.server_cpu", [run.server_cpu_s for run in runs], "s/1,000"),
        row(f"{name}.memory", [run.memory_mb for run in runs], "MB"),
        row(f"{name}.server_memory", [run.server_memory_mb for run in runs], "MB"),
    ]


def _steady_rows(name: str, runs: Sequence[Run]) -> list[Row]:
    return [
        row(f"{name}.p50", [run.speed.p50_ms for run in runs], "ms"),
        row(f"{name}.p99", [run.speed.p99_ms for run in runs], "ms"),
        row(f"{name}.max", [run.speed.max_ms for run in runs], "ms"),
        row(f"{name}.cpu", [run.cpu_s for run in runs], "s/1,000"),
        row(f"{name}.server_cpu", [run.server_cpu_s for run in runs], "s/1,000"),
    ]


def _kill_rows(name: str, kills: Sequence[Survived], *, is_own: bool) -> list[Row]:
    lost = [each.lost for each in kills]
    return [
        row(f"{name}.arrived_before", [100 * each.share for each in kills], "%"),
        row(f"{name}.lost", lost, "jobs", at_most(0) if is_own else None, of=max),
        row(f"{name}.doubled", [each.doubled for each in kills], "jobs"),
        row(f"{name}.last_after", [each.last_after_s for each in kills], "s"),
    ]


def _flat(groups: Iterable[Sequence[Run]]) -> list[Run]:
    return [run for group in groups for run in group]
