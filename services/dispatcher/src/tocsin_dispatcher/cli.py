"""SHELL. The console script `tocsin-dispatcher`: one role a process, and what is wrong around one."""

import argparse
import asyncio
import os
import signal
import sys

import uvloop

from tocsin_common import doctor, log, settings_reader
from tocsin_common.errors import TocsinError
from tocsin_common.settings import DatabaseSettings, SchedulerSettings, SenderSettings
from tocsin_dispatcher import metrics
from tocsin_dispatcher.health import Health
from tocsin_dispatcher.scheduler import app as scheduler_app
from tocsin_dispatcher.sender import app as sender_app

ROLES: dict[str, tuple[str, type[DatabaseSettings]]] = {
    "schedule": ("a scheduler", SchedulerSettings),
    "send": ("a sender", SenderSettings),
}


def main() -> None:
    """Run the role named on the command line until SIGTERM or SIGINT, or look what is wrong around it."""
    command = _parse()
    if command.name == "doctor":
        sys.exit(_examine(command.role, command.management_url))
    try:
        uvloop.run(_schedule() if command.name == "schedule" else _send())
    except TocsinError as error:
        sys.exit(f"tocsin-dispatcher {command.name}: {error}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tocsin-dispatcher", description="One role of Tocsin's dispatcher.")
    commands = parser.add_subparsers(dest="name", required=True, metavar="command")
    commands.add_parser("schedule", help="lead or stand by until SIGTERM")
    commands.add_parser("send", help="send until SIGTERM")
    doctor_parser = commands.add_parser("doctor", help="say what is wrong around a dispatcher, and what to do")
    doctor_parser.add_argument("--role", choices=("schedule", "send"), help="default: both")
    doctor_parser.add_argument("--management-url", default="", help=doctor.MANAGEMENT_HELP)
    return parser.parse_args()


def _examine(role: str | None, management_url: str) -> int:
    kinds = dict(each for name, each in ROLES.items() if role in (None, name))
    return asyncio.run(doctor.run(kinds, os.environ, management_url=management_url))


async def _schedule() -> None:
    own = settings_reader.load(SchedulerSettings, os.environ)
    log.configure(own, service="scheduler")
    metrics.show(metrics.SCHEDULER)
    health = Health(asyncio.get_running_loop())
    with metrics.served(own.metrics_host, own.metrics_port, health):
        await scheduler_app.run(own, _stop_on_signals(), health)


async def _send() -> None:
    own = settings_reader.load(SenderSettings, os.environ)
    log.configure(own, service="sender")
    metrics.show(metrics.SENDER)
    health = Health(asyncio.get_running_loop())
    with metrics.served(own.metrics_host, own.metrics_port, health):
        await sender_app.run(own, _stop_on_signals(), health)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
