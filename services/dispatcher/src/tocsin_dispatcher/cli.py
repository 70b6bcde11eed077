"""The console script `tocsin-dispatcher`: one role a process."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from typing import Any

import structlog
import uvloop

from tocsin_common import log, settings
from tocsin_common.errors import TocsinError
from tocsin_dispatcher.scheduler import app as scheduler_app
from tocsin_dispatcher.sender import app as sender_app

_log = structlog.get_logger(__name__)


def main() -> None:
    """Run the role named on the command line until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="tocsin-dispatcher", description=__doc__)
    parser.add_argument("role", choices=("schedule", "send"))
    role = parser.parse_args().role
    try:
        uvloop.run(_schedule() if role == "schedule" else _send())
    except TocsinError as error:
        sys.exit(f"tocsin-dispatcher {role}: {error}")


async def _schedule() -> None:
    own = settings.load(settings.SchedulerSettings, os.environ)
    log.configure(own, service="scheduler")
    stop = _stop_on_signals()
    async with asyncio.TaskGroup() as group:
        leading = group.create_task(scheduler_app.run(own))
        await _first(stop, leading)
        leading.cancel()


async def _send() -> None:
    own = settings.load(settings.SenderSettings, os.environ)
    log.configure(own, service="sender")
    await sender_app.run(own, _stop_on_signals())


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _first(stop: asyncio.Event, task: asyncio.Task[Any]) -> None:
    """Return when `stop` is set or `task` has ended."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, task}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await stopping
