"""SHELL. `python -m faults.matrix.soak`: Tocsin under load for long, and every few seconds a blow from the seed.

Then all heals, and the whole is judged as a row of the matrix is.
"""

import argparse
import asyncio
import secrets
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from operator import attrgetter
from typing import NamedTuple

import asyncpg

from faults import wrong_clock
from faults.matrix import __main__ as matrix
from faults.matrix import book, editors, results, run, soak_results, users
from faults.matrix.blows import Blow, Deck
from faults.matrix.fault import ANY_REPEAT, OR_MISSED, Burst, Fault
from faults.matrix.rows.cuts import WITHOUT_RECEIVERS
from faults.matrix.scene import Scene, open_scene
from faults.matrix.soak_results import Soak
from tocsin_local import interruption as interruptions
from tocsin_local import machine, report
from tocsin_local.interruption import Interruption
from tocsin_local.stack import Stack

EVERY_S = 20.0
MOST_S = 300.0
"""Of one blow."""
BOUND_S = 120.0
"""Of the recovery from any one while others go on, and when the last one is over."""
BURSTS = Burst(2000, 20)
EPOCH = "SELECT epoch FROM scheduler_lease"
STATES = "SELECT state, count(*) FROM executions GROUP BY state ORDER BY state"
LAST = """
SELECT task_id, scheduled_for, coalesce(finished_at, created_at) AS until, state, failures, lost_claims, sweeps
FROM executions WHERE scheduled_for <= $1
ORDER BY until DESC LIMIT 1
"""
LATER = """
SELECT format('%s from %s to %s', count(*), min(scheduled_for), max(scheduled_for)) FROM executions
WHERE scheduled_for <= $1 AND coalesce(finished_at, created_at) > $1 + $2::interval
"""
ATTEMPTS = """
SELECT string_agg(format('%s %s', execution_time, outcome), ', ' ORDER BY seq) FROM task_logs
WHERE task_id = $1 AND scheduled_for = $2
"""


class Recovery(NamedTuple):
    """From one blow, while others went on."""

    blow: str
    ended_at: datetime
    took_s: float
    """Until all that was owed by then had come to its end."""
    last: asyncpg.Record
    """What of it came to its end last."""


class Asked(NamedTuple):
    """What the command line says."""

    minutes: float
    seed: int
    keep: bool
    commit: str
    """As it was at the start: to keep figures changes files."""


class Storm:
    """The blows of one soak."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.dealt: Counter[str] = Counter()
        self.met: Counter[str] = Counter()
        """How often they hit what they were to hit."""
        self.ended: list[tuple[str, datetime]] = []
        self._seconds = seconds
        self._deck = Deck(seed)
        self._going_on: list[Blow] = []

    async def rage(self, scene: Scene) -> None:
        """Returns when its time is up and the last blow is over; users change tasks meanwhile."""
        begin = time.monotonic()
        async with editors.editing(scene), asyncio.TaskGroup() as blows:
            for turn in range(ceil(self._seconds / EVERY_S)):
                await asyncio.sleep(begin + turn * EVERY_S - time.monotonic())
                blow = self._deck.draw({need for each in self._going_on for need in each.needs})
                if blow is not None:
                    self._tell(blow, turn * EVERY_S)
                    self._going_on.append(blow)
                    blows.create_task(self._deal(blow, scene))
            await asyncio.sleep(begin + self._seconds - time.monotonic())
        scene.fault_is_over()

    async def _deal(self, blow: Blow, scene: Scene) -> None:
        mine = scene.apart()
        try:
            async with asyncio.timeout(MOST_S):
                met = await blow.inflict(mine)
            self.met[blow.name] += bool(met) if isinstance(met, int) else not mine.misses
        except Exception as error:  # whatever it is, the others go on, and the run is broken
            scene.problems.append(f"fault: {blow.name} could not be done: {error!r}")
        self.ended.append((blow.name, mine.over_at or datetime.now(UTC)))
        self._going_on.remove(blow)

    def tell(self, scene: Scene) -> None:
        """Say how often blows struck. One may come when another has already taken away what it is to hit."""
        seldom = [f"{name} {self.met[name]} of {of}" for name, of in self.dealt.items() if self.met[name] < of]
        scene.hit(self.met.total(), self.dealt.total(), f"blows struck; not always: {', '.join(seldom) or 'none'}")
        scene.misses.extend(
            f"{name} never struck, of {of} times" for name, of in self.dealt.items() if not self.met[name]
        )

    def _tell(self, blow: Blow, since_s: float) -> None:
        self.dealt[blow.name] += 1
        others = ", ".join(each.name for each in self._going_on)
        print(f"  {since_s:6.0f} s  {blow.name}{f' (going on: {others})' if others else ''}", flush=True)


async def soak(stack: Stack, minutes: float, seed: int) -> Soak:
    """On a stack that was just started and that nothing else uses."""
    storm = Storm(minutes * 60, seed)
    fault = _as_fault(storm)
    async with open_scene(stack, fault, seed) as scene:
        epoch = await scene.ask(EPOCH)
        recovery_s = await run.happen(scene, fault)
        storm.tell(scene)
        editors.show(scene)
        await users.check(scene)
        seen = await run.conclude(scene, fault)
        leaders = await scene.ask(EPOCH) - epoch
        changes, single = scene.load.changes(), len(scene.load.single)
        states = dict(await scene.database.fetch(STATES))
        worst = max([await _recovery(scene, *ended) for ended in storm.ended], key=attrgetter("took_s"))
        if worst.took_s > BOUND_S:
            scene.problems.append(await _in_words(scene, worst))
    found = await run.sum_up(scene, [recovery_s], seen)
    return Soak(
        seed=seed,
        minutes=minutes,
        faults=dict(sorted(storm.dealt.items())),
        struck={name: storm.met[name] for name in sorted(storm.dealt)},
        outcome=results.outcome(fault, found, seed),
        states=states,
        again=dict(found.verdict.again),
        worst_recovery_s=worst.took_s,
        leaders=leaders,
        changes=changes,
        single=single,
        problems=found.problems[: matrix.MOST_PROBLEMS],
    )


async def _recovery(scene: Scene, blow: str, ended_at: datetime) -> Recovery:
    last = await scene.database.fetchrow(LAST, ended_at)
    return Recovery(blow, ended_at, max(0.0, (last["until"] - ended_at).total_seconds()), last)


async def _in_words(scene: Scene, worst: Recovery) -> str:
    last = worst.last
    later = await scene.ask(LATER, worst.ended_at, timedelta(seconds=BOUND_S))
    attempts = await scene.ask(ATTEMPTS, last["task_id"], last["scheduled_for"])
    return (
        f"late: {worst.took_s:.1f} s, not {BOUND_S:g} s, until all was well after {worst.blow}, which ended at "
        f"{worst.ended_at}; later than that were {later}; the last one was {last['task_id']} of "
        f"{last['scheduled_for']}: {last['state']}, {last['failures']} failures, {last['lost_claims']} lost "
        f"claims, {last['sweeps']} sweeps; its attempts: {attempts}"
    )


def _as_fault(storm: Storm) -> Fault:
    return Fault(
        "soak",
        "Faults by chance, several at a time",
        storm.rage,
        bound_s=BOUND_S,
        settings=WITHOUT_RECEIVERS,
        burst=BURSTS,
        ends=OR_MISSED | {"failed"},
        repeats=ANY_REPEAT,
    )


def main() -> int:
    """The exit code is 0 only where every invariant and the bound were kept."""
    asked = _arguments()
    if not wrong_clock.LIBRARIES:
        print(wrong_clock.NEEDED, file=sys.stderr)
        return 1
    matrix.prepare()
    return interruptions.exit_code(partial(_measure, asked))


def _measure(asked: Asked, interruption: Interruption) -> bool:
    print(f"soak: {asked.minutes:g} minutes (SEED={asked.seed}) …", flush=True)
    with Stack(matrix.INSTANCE, fresh=True, env={}) as stack:
        described = interruption.run(machine.describe(stack.urls))
        found = interruption.run(soak(stack, asked.minutes, asked.seed))
    print("\n".join(["", *soak_results.for_people(found), ""]))
    print(report.line("soak", commit=asked.commit, machine=described, rows=[found.outcome]), flush=True)
    if asked.keep:
        book.keep_soak(soak_results.Kept(commit=asked.commit, machine=described, soak=found))
    return found.outcome.ok


def _arguments() -> Asked:
    parser = argparse.ArgumentParser(prog="faults.matrix.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--keep", action="store_true", help="in docs/soak.json, and write its table")
    given = parser.parse_args()
    return Asked(given.minutes, given.seed, given.keep, machine.commit())


if __name__ == "__main__":
    sys.exit(main())
