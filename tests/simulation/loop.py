"""The event loop of one simulated process. Nothing in it waits: the world says what time it is.

A crash is a loop that is never run again, a freeze one that is not run for a while. Both are exact: whatever the
process was about to do next does not happen, or happens late.
"""

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

STEPS_A_TICK = 500  # so many steps take a moment: what waits for less than a float can tell would spin else
TICK_S = 1e-5


class _Task(asyncio.Task):
    """Hashed by its number: the order of a set of tasks is the same in every run."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], *, number: int, **options: Any) -> None:
        self._number = number
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs callbacks that are ready, and timers once the world has reached their time."""

    def __init__(self, now: Callable[[], float], complain: Callable[[str], None]) -> None:
        self._now = now
        self._complain = complain
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = count()
        self._tasks: set[_Task] = set()
        self.lag_s = 0.0
        """How long the machine was suspended: asyncio's clock stands still meanwhile, CLOCK_BOOTTIME does not."""
        self._is_interrupted = False
        self._busy_until = 0.0
        self._steps_left = float("inf")
        self._at_last: Callable[[], None] = lambda: None

    def run_at_most(self, steps: int, then: Callable[[], None]) -> None:
        """After so many steps call `then`."""
        self._steps_left, self._at_last = steps, then

    def interrupt(self) -> None:
        """Let no further step be taken for now."""
        self._is_interrupted = True

    def next_at(self) -> float:
        """When it has something to do, in the world's time."""
        if self._ready:
            return self._busy_until
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return max(self._timers[0][0] + self.lag_s, self._busy_until) if self._timers else float("inf")

    def run_ready(self) -> None:
        """Run until everything waits, or until the process has died or was frozen."""
        events._set_running_loop(self)
        self._is_interrupted = False
        try:
            for _ in range(STEPS_A_TICK):
                if not self._ready:
                    self._take_due()
                if not self._ready or self._is_interrupted:
                    return
                self._steps_left -= 1
                if self._steps_left < 0:
                    self._steps_left = float("inf")
                    self._at_last()
                    return
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
            self._busy_until = self._now() + TICK_S
        finally:
            events._set_running_loop(None)

    def bury(self) -> None:
        """End what a dead process left, so that nothing of it is collected in the middle of something else."""
        self._complain = lambda _: None
        self._steps_left = float("inf")
        for _ in range(20):
            if not self._tasks:
                return
            for task in list(self._tasks):
                task.cancel()
            self.run_ready()

    def _take_due(self) -> None:
        now = self._now()
        while self._timers and self._timers[0][0] + self.lag_s <= now:  # as in next_at, to the last bit
            self._ready.append(heapq.heappop(self._timers)[2])

    # What asyncio asks of a loop.

    def time(self) -> float:
        return self._now() - self.lag_s

    def call_soon(self, callback: Any, *arguments: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, arguments, self, context)
        self._ready.append(handle)
        return handle

    def call_later(self, delay: float, callback: Any, *arguments: Any, context: Any = None) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *arguments, context=context)

    def call_at(self, when: float, callback: Any, *arguments: Any, context: Any = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, arguments, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coroutine: Any, *, name: Any = None, context: Any = None) -> asyncio.Task[Any]:
        number = next(self._numbers)
        task = _Task(coroutine, number=number, loop=self, name=name or f"task {number}", context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._complain(f"{context.get('message')}: {context.get('exception')!r}")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer stays in the heap until its time comes."""
