"""Runs a console script that is hit at a failpoint: `armed.py SIGKILL sender.claimed 1 tocsin-dispatcher send`.

The process sends itself that signal the nth time that it reaches that failpoint. After SIGKILL nothing is flushed,
closed or handed back; after SIGSTOP it stands still right there. CANCEL, which is no signal, cancels the task that
is there. This is the only launcher that calls `failpoints.arm`.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from itertools import count
from typing import get_args

from tocsin_common import failpoints
from tocsin_common.failpoints import Failpoint


def main() -> None:
    """Arm, then do what the console script does."""
    blow, name, nth, *command = sys.argv[1:]
    if name not in get_args(Failpoint):
        sys.exit(f"there is no failpoint {name!r}")
    failpoints.arm(hit_at(name, int(nth), blow))
    [script] = entry_points(group="console_scripts", name=command[0])
    sys.argv = command
    sys.exit(script.load()())


def hit_at(name: str, nth: int, blow: str) -> Callable[[Failpoint], None]:
    """A handler that deals `blow` when `name` is reached for the `nth` time."""
    times = count(1)

    def hit(reached: Failpoint) -> None:
        if reached == name and next(times) == nth:
            cancel_here() if blow == "CANCEL" else os.kill(os.getpid(), signal.Signals[blow])

    return hit


def cancel_here() -> None:
    """Let the task that is running be cancelled where it waits next, as if by somebody else."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("no task is running here")
    asyncio.get_running_loop().call_soon(task.cancel)


if __name__ == "__main__":
    main()
