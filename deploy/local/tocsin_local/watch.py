"""SHELL. Watches the processes of a stack: says which one died, and of what, and starts it again."""

import asyncio
import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from tocsin_local.errors import StackError
from tocsin_local.services import Services

INTERVAL_S = 0.25
PAUSE_S = 1.0  # after something was started again: what dies at once must not be started in a tight loop
MAX_FAILED_STARTS = 3  # in a row; somebody may kill a server again while it starts
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


class Watched(Protocol):
    """Servers or services that can be started again."""

    def pids(self) -> dict[str, int]:
        """Those that run: name → pid."""

    def ensure_running(self) -> list[str]:
        """Start what died again; StackError where that fails."""


class Processes:
    """Tocsin's own processes as something to watch."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def pids(self) -> dict[str, int]:
        """Those that run: name → pid."""
        found = {name: self._services.pid(name) for name in self._services.names()}
        return {name: pid for name, pid in found.items() if pid is not None}

    def ensure_running(self) -> list[str]:
        """Start what died again, without waiting: a server may be away at this moment."""
        return self._services.start(self._services.dead(), wait=False)


class Death(NamedTuple):
    """A process that died and was started again."""

    name: str
    cause: str
    """`signal 9`, `exit status 1`; empty where the system does not say."""
    pid: int
    """Of its successor."""


def adopt_orphans() -> None:
    """Become the parent of what is started from here on and left alone: only a parent learns how it died."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


async def watch(parts: Sequence[Watched], report: Callable[[Death], None]) -> None:
    """Start again what dies, until cancelled: the parts in their order, as later ones need earlier ones.

    Raises StackError where something fails to start several times in a row.
    """
    known: dict[str, int] = {}
    failed_starts = 0
    for part in parts:
        known |= part.pids()
    while True:
        try:
            for part in parts:
                await asyncio.to_thread(part.ensure_running)
            failed_starts = 0
        except StackError:
            failed_starts += 1
            if failed_starts == MAX_FAILED_STARTS:
                raise
        found = {name: pid for part in parts for name, pid in part.pids().items()}
        deaths = replaced(known, found)
        for name in deaths:
            report(Death(name, cause_of_death(known[name]), found[name]))
        known |= found
        await asyncio.sleep(PAUSE_S if deaths or failed_starts else INTERVAL_S)


def replaced(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """The names that have another pid now. RabbitMQ's epmd is started anew with it: that is no death."""
    names = [name for name in before if name in now and now[name] != before[name]]
    return [name for name in names if name != "epmd" or "rabbitmq" not in names]


def cause_of_death(pid: int) -> str:
    """How a process ended that was ours, or that we adopted; it is gone for good after that."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return ""
    if found == 0:
        return ""
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"exit status {code}"
