"""SHELL. The console script `tocsin-dispatcher`: one role a process."""

import argparse
import asyncio
import os
import signal
import sys

import uvloop

from tocsin_common import log, settings
from tocsin_common.errors import TocsinError
from tocsin_dispatcher import metrics
from tocsin_dispatcher.scheduler import app as scheduler_app
from tocsin_dispatcher.sender import app as sender_app


def main() -> None:
    """Run the role named on the command line until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="tocsin-dispatcher", description="One role of Tocsin's dispatcher.")
    parser.add_argument("role", choices=("schedule", "send"))
    role = parser.parse_args().role
    try:
        uvloop.run(_schedule() if role == "schedule" else _send())
    except TocsinError as error:
        sys.exit(f"tocsin-dispatcher {role}: {error}")


async def _schedule() -> None:
    own = settings.load(settings.SchedulerSettings, os.environ)
    log.configure(own, service="scheduler")
    metrics.show(metrics.SCHEDULER)
    with metrics.served(own.metrics_host, own.metrics_port):
        await scheduler_app.run(own, _stop_on_signals())


async def _send() -> None:
    own = settings.load(settings.SenderSettings, os.environ)
    log.configure(own, service="sender")
    metrics.show(metrics.SENDER)
    with metrics.served(own.metrics_host, own.metrics_port):
        await sender_app.run(own, _stop_on_signals())


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
