"""Runs a console script that is hit at a failpoint: `armed.py SIGKILL sender.claimed 1 tocsin-dispatcher send`.

The process sends itself that signal the nth time that it reaches that failpoint. After SIGKILL nothing is flushed,
closed or handed back; after SIGSTOP it stands still right there. This is the only launcher that calls
`failpoints.arm`.
"""

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
    failpoints.arm(hit_at(name, int(nth), signal.Signals[blow]))
    [script] = entry_points(group="console_scripts", name=command[0])
    sys.argv = command
    sys.exit(script.load()())


def hit_at(name: str, nth: int, blow: signal.Signals) -> Callable[[Failpoint], None]:
    """A handler that sends this process `blow` when `name` is reached for the `nth` time."""
    times = count(1)

    def hit(reached: Failpoint) -> None:
        if reached == name and next(times) == nth:
            os.kill(os.getpid(), blow)

    return hit


if __name__ == "__main__":
    main()
