"""SHELL. `python -m bench NAME`: run a bench on a stack of its own, print its table and, last, its report line."""

import argparse
import logging
import os
import sys

import structlog

from bench import api, figures, scheduler, sender
from tocsin_local import machine, report
from tocsin_local.environment import caller_environment
from tocsin_local.errors import StackError
from tocsin_local.interruption import Interruption
from tocsin_local.report import Machine, Row
from tocsin_local.stack import Stack

INSTANCE = "bench"
BENCHES = {"api": api.measure, "scheduler": scheduler.measure, "sender": sender.measure}
# A commit's own time is what the lateness of emission is measured by.
POSTGRES_SETTINGS = {"track_commit_timestamp": "on"}
OK, BROKEN, INTERRUPTED = 0, 1, 130


def main() -> int:
    """Run the bench; the exit code is 0 where the run itself worked, whatever the figures are."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure Tocsin's real processes.")
    parser.add_argument("name", choices=sorted(BENCHES))
    name = parser.parse_args().name
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        with Interruption() as interruption:
            described, rows = _on_a_stack(name, interruption)
    except KeyboardInterrupt:
        print("Stopped. Nothing is left running.", file=sys.stderr)
        return INTERRUPTED
    except StackError as error:
        print(error, file=sys.stderr)
        return BROKEN
    print("\n".join(["", *figures.table(rows), ""]))
    print(report.line(name, commit=machine.commit(), machine=described, rows=rows), flush=True)
    return OK


def _on_a_stack(name: str, interruption: Interruption) -> tuple[Machine, list[Row]]:
    env = caller_environment()
    print("Starting PostgreSQL and RabbitMQ …", flush=True)
    with Stack(INSTANCE, fresh=True, env={}, postgres_settings=POSTGRES_SETTINGS) as stack:
        described = interruption.run(machine.describe(stack.urls))
        print(f"Data on disk, in {os.path.relpath(stack.instance.folder)}, fsync on. {_load()}", flush=True)
        rows = interruption.run(BENCHES[name](stack, env))
        print(f"Stopping everything. {_load()}", flush=True)
    return described, rows


def _load() -> str:
    return f"Load of the machine: {', '.join(f'{load:.1f}' for load in os.getloadavg())}."


if __name__ == "__main__":
    sys.exit(main())
