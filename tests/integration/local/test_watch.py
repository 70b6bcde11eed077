import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tocsin_local.errors import StackError
from tocsin_local.watch import Death, watch


def endless() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])


class Sleeper:
    """Watches one process that does nothing."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.processes = [endless()]

    def pids(self) -> dict[str, int]:
        process = self.processes[-1]
        dead = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return {} if dead else {"sleeper": process.pid}

    def ensure_running(self) -> list[str]:
        if self.pids():
            return []
        if self.refusals:
            self.refusals -= 1
            raise StackError("not now")
        self.processes.append(endless())
        return ["sleeper"]


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    sleeper = Sleeper()
    yield sleeper
    for process in sleeper.processes:
        process.kill()
        process.wait()


async def first_death(sleeper: Sleeper) -> Death:
    """Kill the sleeper and watch until its death is reported."""
    deaths: asyncio.Queue[Death] = asyncio.Queue()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        watcher = group.create_task(watch([sleeper], deaths.put_nowait))
        await asyncio.sleep(0)  # the watcher has seen it alive
        sleeper.processes[0].kill()
        death = await deaths.get()
        watcher.cancel()
    return death


async def test_what_dies_is_started_again_and_its_signal_told(sleeper: Sleeper) -> None:
    death = await first_death(sleeper)

    assert death == Death("sleeper", f"signal {int(signal.SIGKILL)}", sleeper.processes[1].pid)


async def test_a_start_that_fails_is_tried_again(sleeper: Sleeper) -> None:
    sleeper.refusals = 1

    death = await first_death(sleeper)

    assert death.pid == sleeper.processes[1].pid


async def test_starts_that_go_on_failing_are_an_error(sleeper: Sleeper) -> None:
    sleeper.refusals = 100

    with pytest.raises(ExceptionGroup) as failed:
        await first_death(sleeper)

    assert failed.group_contains(StackError, match="not now")
