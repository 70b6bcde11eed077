"""Runs many seeds, on all cores, and says which of them fail."""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator

from simulation.run import Report, simulate

CHUNK = 25
SAID_EVERY = 5000  # so that one who ends a long run knows how far it came


def main() -> None:
    """`--seeds N` runs N worlds from `--first` on; `--seed S` runs one and prints its trace."""
    parser = argparse.ArgumentParser(description="Simulates the scheduler with seeded faults.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="this one alone, with its trace")
    asked = parser.parse_args()
    if asked.seed is not None:
        sys.exit(_one(asked.seed))
    sys.exit(_many(range(asked.first, asked.first + asked.seeds)))


def _one(seed: int) -> int:
    report = simulate(seed, is_traced=True)
    print("\n".join(report.trace))
    print("\n".join(report.problems) or f"seed {seed}: all is well")
    return 1 if report.problems else 0


def _many(seeds: range) -> int:
    began, failed, done, announced = time.monotonic(), 0, 0, 0
    for report in _reports(seeds):
        done, announced = done + 1, announced + report.announced
        if done % SAID_EVERY == 0:
            print(f"{done} seeds, {failed} failed so far", flush=True)
        if report.problems:
            failed += 1
            print(f"seed {report.seed}: {report.problems[0]}", flush=True)
    took_s = time.monotonic() - began
    print(f"{done} seeds, {failed} failed, {announced} executions, {took_s:.1f} s, {done / took_s:.0f} seeds/s")
    return 1 if failed else 0


def _reports(seeds: range) -> Iterator[Report]:
    # What worlds leave in memory goes with their process.
    with multiprocessing.Pool(os.cpu_count(), maxtasksperchild=40) as pool:
        yield from pool.imap_unordered(simulate, seeds, chunksize=CHUNK)


if __name__ == "__main__":
    main()
