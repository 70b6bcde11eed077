"""SHELL. `python -m bench [NAME]`: run benches, each on a stack of its own; print its table and report line."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import structlog

from bench import api, figures, growth, kept, parts, scheduler, sender, server_settings, sink, sink_stage, stage
from bench.peers import bench as peers
from tocsin_local import interruption as interruptions
from tocsin_local import machine, report
from tocsin_local.environment import caller_environment
from tocsin_local.interruption import Interruption
from tocsin_local.report import Machine, Report, Row
from tocsin_local.stack import Stack

INSTANCE = "bench"
ALL = "all"


class Bench(NamedTuple):
    """What is measured, and of what parts it consists."""

    measure: Callable[[Stack, Mapping[str, str]], Coroutine[Any, Any, list[Row]]]
    parts: Sequence[str]
    settings: Mapping[str, str]
    """Of Tocsin's processes, beside those of every bench and the defaults."""
    versions: Callable[[], Mapping[str, str]] = dict
    contenders: Callable[[], Mapping[str, Mapping[str, str]]] = dict


BENCHES = {
    "scheduler": Bench(scheduler.measure, [*scheduler.QUICK, *scheduler.SLOW], scheduler.SETTINGS),
    "sender": Bench(sender.measure, [*sender.QUICK, *sender.SLOW], sink_stage.SETTINGS, sink.versions),
    "api": Bench(api.measure, [*api.QUICK, *api.SLOW], api.SETTINGS),
    "peers": Bench(peers.measure, [*peers.QUICK, *peers.SLOW], peers.SETTINGS, peers.versions, peers.contenders),
    "growth": Bench(growth.measure, [*growth.QUICK, *growth.SLOW], sink_stage.SETTINGS, sink.versions),
}
# A commit's own time is what the lateness of emission is measured by.
POSTGRES_SETTINGS = {"track_commit_timestamp": "on"}


def main() -> int:
    """Run what is asked for; the exit code is 0 where the runs themselves worked, whatever the figures are."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure Tocsin's real processes.")
    parser.add_argument("name", choices=[ALL, *BENCHES], nargs="?", default=ALL)
    name = parser.parse_args().name
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    return interruptions.exit_code(partial(_run_all, name))


def _run_all(name: str, interruption: Interruption) -> bool:
    env, commit = caller_environment(), machine.commit()  # before anything is kept
    asked = {each: BENCHES[each].parts for each in (BENCHES if name == ALL else [name])}
    for each, only in parts.by_bench(env, asked).items():
        _run(each, commit, interruption, env | {"ONLY": only})
    return True


def _run(name: str, commit: str, interruption: Interruption, env: Mapping[str, str]) -> None:
    """One bench; with KEEP=1 its report is kept."""
    print(f"The bench of {name}. Starting PostgreSQL and RabbitMQ …", flush=True)
    bench = BENCHES[name]
    described, servers, rows = _on_a_stack(name, interruption, env)
    found = Report(
        name,
        commit,
        described,
        rows,
        kept.today(),
        bench.versions(),
        env.get("NOTE", ""),
        {"Tocsin": {**stage.SETTINGS, **bench.settings}, **servers},
        bench.contenders(),
    )
    print("\n".join(["", *figures.table(found.rows), ""]))
    print(report.text(found), flush=True)
    if env.get("KEEP") == "1":
        kept.keep(found)
        kept.PAGE.write_text(kept.text())


def _on_a_stack(
    name: str, interruption: Interruption, env: Mapping[str, str]
) -> tuple[Machine, Mapping[str, Mapping[str, str]], list[Row]]:
    """The machine, its servers' settings, and what was measured."""
    with Stack(INSTANCE, fresh=True, env={}, postgres_settings=POSTGRES_SETTINGS) as stack:
        described = interruption.run(machine.describe(stack.urls))
        print(f"Data on disk, in {os.path.relpath(stack.instance.folder)}, fsync on. {_load()}", flush=True)
        rows = interruption.run(BENCHES[name].measure(stack, env))
        servers = interruption.run(server_settings.read(stack.urls))
        print(f"Stopping everything. {_load()}", flush=True)
    return described, servers, rows


def _load() -> str:
    return f"Load of the machine: {', '.join(f'{load:.1f}' for load in os.getloadavg())}."


if __name__ == "__main__":
    sys.exit(main())
