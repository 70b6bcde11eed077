"""SHELL. `python -m faults.matrix.soak`: Tocsin under load for long, and every few seconds a blow from the seed.

Then all heals, and the whole is judged as a row of the matrix is.
"""

import argparse
import asyncio
import secrets
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from math import ceil
from typing import NamedTuple

from faults import wrong_clock
from faults.matrix import __main__ as matrix
from faults.matrix import book, editors, overdue, results, run, soak_results, users
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
"""Of the recovery when the last one is over, and of how long an execution may stand overdue while they go on."""
WHILE_OTHERS_S = 300.0
"""Of the recovery from any one while others go on: those that hit the receivers of one execution may follow each
other, and a receiver that did not answer for so long is left alone for up to a minute."""
BURSTS = Burst(2000, 20)
EPOCH = "SELECT epoch FROM scheduler_lease"
STATES = "SELECT state, count(*) FROM executions GROUP BY state ORDER BY state"
RECOVERY = """
SELECT greatest(0, extract(epoch FROM max(coalesce(finished_at, created_at)) - $1))::float8
FROM executions WHERE scheduled_for <= $1
"""


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
        await overdue.watch(scene)
        epoch = await scene.ask(EPOCH)
        recovery_s = await run.happen(scene, fault)
        storm.tell(scene)
        editors.show(scene)
        await users.check(scene)
        seen = await run.conclude(scene, fault)
        leaders = await scene.ask(EPOCH) - epoch
        changes, single = scene.load.changes(), len(scene.load.single)
        states = dict(await scene.database.fetch(STATES))
        recoveries = [(await scene.ask(RECOVERY, ended_at), name) for name, ended_at in storm.ended]
        worst_s, worst = max(recoveries, default=(0.0, "none"))
        if worst_s > WHILE_OTHERS_S:
            scene.problems.append(
                f"late: {worst_s:.1f} s until all was well after {worst}, not {WHILE_OTHERS_S:g} s"
            )
        longest = await overdue.longest(scene)
        if longest is None:
            scene.misses.append("nothing ever stood overdue")
        elif longest.seconds > BOUND_S:
            scene.problems.append(f"late: overdue for {longest.seconds:.1f} s, not {BOUND_S:g} s: {longest.what}")
    found = await run.sum_up(scene, [recovery_s], seen)
    return Soak(
        seed=seed,
        minutes=minutes,
        faults=dict(sorted(storm.dealt.items())),
        struck={name: storm.met[name] for name in sorted(storm.dealt)},
        outcome=results.outcome(fault, found, seed),
        states=states,
        again=dict(found.verdict.again),
        worst_recovery_s=worst_s,
        worst_recovery_from=worst,
        worst_recovery_bound_s=WHILE_OTHERS_S,
        overdue_s=0.0 if longest is None else longest.seconds,
        leaders=leaders,
        changes=changes,
        single=single,
        problems=found.problems[: matrix.MOST_PROBLEMS],
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
