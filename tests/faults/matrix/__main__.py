"""SHELL. `python -m faults.matrix`: let faults happen, print their table and, last, the report line."""

import argparse
import asyncio
import logging
import secrets
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import structlog
import uvloop

from faults import small_disk, wrong_clock
from faults.matrix import book, results, table
from faults.matrix.fault import Fault
from faults.matrix.results import Kept
from faults.matrix.rows import ROWS
from faults.matrix.run import Run, run
from tocsin_local import interruption as interruptions
from tocsin_local import machine, report
from tocsin_local.interruption import Interruption
from tocsin_local.stack import Stack

INSTANCE = "faults"
MOST_PROBLEMS = 20
QUIET_LOGGERS = ("aio_pika", "aiormq", "asyncio", "asyncpg")
"""They tell of each connection that a fault breaks."""


class Asked(NamedTuple):
    """What the command line says."""

    faults: Sequence[Fault]
    runs: int
    seed: int
    keep: bool
    commit: str
    """As it was at the start: to keep figures changes files."""


def main() -> int:
    """The exit code is 0 only where every invariant and every bound was kept."""
    asked = _arguments()
    prepare()
    return interruptions.exit_code(partial(_measure_all, asked))


def prepare() -> None:
    """What holds for the whole process."""
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # all bytes between all parts pass through here
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def _measure_all(asked: Asked, interruption: Interruption) -> bool:
    measured = [_measured(fault, asked, interruption) for fault in asked.faults]
    kept = [each for each in measured if each is not None]
    if not kept:
        return False
    outcomes = [each.outcome for each in kept]
    print("\n".join(["", *table.for_people(outcomes), ""]))
    last = kept[-1]
    print(report.line("faults", commit=last.commit, machine=last.machine, rows=outcomes), flush=True)
    return len(kept) == len(measured) and all(outcome.ok for outcome in outcomes)


def _measured(fault: Fault, asked: Asked, interruption: Interruption) -> Kept | None:
    """None where it could not be done or judged: that is told, and the others go on."""
    if not _is_possible(fault):
        return None
    try:
        return _measure(fault, asked, interruption)
    except Exception as error:
        print(f"  BROKEN {fault.name} broke off: {error!r}", flush=True)
        return None


def _is_possible(fault: Fault) -> bool:
    """Whether this machine and this user have what it takes; else that is told."""
    needs = [wrong_clock.NEEDED] if fault.wrong_clock and not wrong_clock.LIBRARIES else []
    with TemporaryDirectory() as folder:
        needs += [small_disk.NEEDED] if fault.disks and not small_disk.may_mount(Path(folder)) else []
    if needs:
        print(f"{fault.name}: left out. {' '.join(needs)}", flush=True)
    return not needs


def _measure(fault: Fault, asked: Asked, interruption: Interruption) -> Kept:
    print(f"{fault.name}: {fault.what} (SEED={asked.seed}) …", flush=True)
    stack = Stack(INSTANCE, fresh=True, env={}, rabbitmq_nodes=fault.broker_nodes)
    with small_disk.mounted_for(stack.instance, fault.disks), stack:
        described = interruption.run(machine.describe(stack.urls))
        found = interruption.run(run(stack, fault, times=asked.runs, seed=asked.seed))
    _tell(found)
    kept = Kept(commit=asked.commit, machine=described, outcome=results.outcome(fault, found, asked.seed))
    if asked.keep:
        book.keep([kept], ROWS)
    return kept


def _tell(found: Run) -> None:
    recovered = ", ".join(f"{each:.1f}" for each in found.recoveries_s)
    counts = ", ".join(f"{name} {value}" for name, value in found.counts._asdict().items())
    print(f"  recovered after {recovered} s; {counts}; ended by themselves {found.ends}", flush=True)
    for remark in found.remarks:
        print(f"  {remark}", flush=True)
    for problem in found.problems[:MOST_PROBLEMS]:
        print(f"  BROKEN {problem}", flush=True)
    if len(found.problems) > MOST_PROBLEMS:
        print(f"  BROKEN and {len(found.problems) - MOST_PROBLEMS} more", flush=True)


def _arguments() -> Asked:
    parser = argparse.ArgumentParser(
        prog="faults.matrix", description="Let faults happen, and judge what becomes of it."
    )
    parser.add_argument("--fault", action="append", choices=[fault.name for fault in ROWS], help="default: all")
    parser.add_argument("--runs", type=int, default=1, help="so often each fault happens in its run")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--keep", action="store_true", help="in docs/faults.json, and write its table")
    given = parser.parse_args()
    faults = [fault for fault in ROWS if given.fault is None or fault.name in given.fault]
    return Asked(faults, given.runs, given.seed, given.keep, machine.commit())


if __name__ == "__main__":
    sys.exit(main())
