"""Runs a console script of Tocsin that dies at a failpoint: `armed.py sender.claimed 1 tocsin-dispatcher send`.

The process ends itself by SIGKILL the nth time that it reaches that failpoint: nothing is flushed,
closed or handed back. This is the only launcher that calls `failpoints.arm`.
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
    name, nth, *command = sys.argv[1:]
    if name not in get_args(Failpoint):
        sys.exit(f"there is no failpoint {name!r}")
    failpoints.arm(dying_at(name, int(nth)))
    [script] = entry_points(group="console_scripts", name=command[0])
    sys.argv = command
    sys.exit(script.load()())


def dying_at(name: str, nth: int) -> Callable[[Failpoint], None]:
    """A handler that does not return when `name` is reached for the `nth` time."""
    times = count(1)

    def die(reached: Failpoint) -> None:
        if reached == name and next(times) == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    return die


if __name__ == "__main__":
    main()
