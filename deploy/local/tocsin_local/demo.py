"""SHELL. `make demo`: all of Tocsin on a stack of its own, posting to a local receiver and judged by it."""

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple

from tocsin_local import interruption as interruptions
from tocsin_local import machine, report, screen, summary, trial
from tocsin_local.environment import caller_environment
from tocsin_local.errors import StackError
from tocsin_local.interruption import Interruption
from tocsin_local.report import Machine, Row
from tocsin_local.services import Services
from tocsin_local.stack import Stack
from tocsin_local.watch import Processes, adopt_orphans

INSTANCE = "demo"
DEFAULT_SECONDS = "20"
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LOG_LEVEL")
"""Of the caller's environment; what else it says is for a Tocsin of its own, not for this one."""


class Result(NamedTuple):
    """What the report line tells."""

    machine: Machine
    rows: list[Row]


def main() -> int:
    """Run the demo; the exit code is 0 only where nothing that was owed was lost, doubled or early."""
    return interruptions.exit_code(_run)


def _run(interruption: Interruption) -> bool:
    result = _on_a_stack(caller_environment(), interruption)
    print(report.line("demo", commit=machine.commit(), machine=result.machine, rows=result.rows), flush=True)
    return all(row.ok for row in result.rows)


def _on_a_stack(env: Mapping[str, str], interruption: Interruption) -> Result:
    seconds = _seconds(env.get("DEMO_SECONDS", DEFAULT_SECONDS))
    colour = sys.stdout.isatty() and "NO_COLOR" not in env
    adopt_orphans()
    _say("Starting PostgreSQL and RabbitMQ, then Tocsin's api, scheduler and sender …")
    with Stack(INSTANCE, fresh=True, env={}) as stack:
        try:
            services = _start_services(stack, env)
            described = interruption.run(machine.describe(stack.urls))
            discord_url = env.get("DISCORD_WEBHOOK_URL", "")
            terms = trial.Terms(seconds, services.api_url, services.api_key, discord_url, colour)
            processes = Processes(services)
            _introduce(terms, stack, processes, os.path.relpath(services.log("sender").parent))
            rows = interruption.run(trial.run(terms, [stack, processes]))
            _say("\n".join(["", f"Summary of {seconds:g} s:", *summary.table(rows)]))
        finally:
            _say("\nStopping everything …")
    return Result(described, rows)


def _start_services(stack: Stack, env: Mapping[str, str]) -> Services:
    inherited = {name: env[name] for name in INHERITED if name in env}
    services = Services(stack, inherited | {"ALLOW_LOCAL_WEBHOOKS": "1"})
    services.migrate()
    services.start()
    return services


def _introduce(terms: trial.Terms, stack: Stack, processes: Processes, logs: str) -> None:
    lines = screen.introduction(
        api_url=terms.api_url,
        api_key=terms.api_key,
        urls=stack.urls,
        logs=logs,
        discord=bool(terms.discord_url),
        pids=stack.pids() | processes.pids(),
    )
    ends = f"It runs for {terms.seconds:g} s (DEMO_SECONDS), then comes a summary. Ctrl-C stops everything."
    _say("\n".join(["", *lines, ends, ""]))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 86_400:
        raise StackError(f"DEMO_SECONDS must be a number of seconds, more than 0 and at most 86400, got {text!r}")
    return seconds


def _say(text: str) -> None:
    print(text, flush=True)
