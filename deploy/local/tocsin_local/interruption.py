"""SHELL. Ctrl-C, SIGTERM and a closed terminal end a program once, in order; further ones do not disturb that."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, Self, TypeVar

from tocsin_local.errors import StackError

OK, BROKEN, INTERRUPTED = 0, 1, 130
"""What programs that have a stack of their own end with."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

T = TypeVar("T")


class Interruption:
    """While it is entered, the first signal raises KeyboardInterrupt, and those after it do nothing.

    Programs started meanwhile get the usual signal handlers: only Python functions are set here.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._interrupted = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in an event loop; a signal cancels it, and KeyboardInterrupt comes when it has ended."""
        try:
            return asyncio.run(self._cancellable(work))
        except asyncio.CancelledError:
            if not self._interrupted:
                raise
            raise KeyboardInterrupt from None

    async def _cancellable(self, work: Coroutine[Any, Any, T]) -> T:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            return await work
        finally:
            self._loop = self._task = None

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        if self._interrupted:
            return
        self._interrupted = True
        if self._loop is None or self._task is None:
            raise KeyboardInterrupt
        self._loop.call_soon_threadsafe(self._task.cancel)


def exit_code(work: Callable[[Interruption], bool]) -> int:
    """Of a program that does `work`, which says whether all is as it must be; else it prints why it ended."""
    try:
        with Interruption() as interruption:
            return OK if work(interruption) else BROKEN
    except KeyboardInterrupt:
        print("Stopped. Nothing is left running.", file=sys.stderr)
        return INTERRUPTED
    except StackError as error:
        print(error, file=sys.stderr)
        return BROKEN
