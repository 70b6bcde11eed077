"""One simulated scheduler process: the real code, on a loop and connections of the model."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import structlog

from simulation.broker import Broker
from simulation.loop import VirtualLoop
from simulation.server import Pool, Server
from simulation.world import World
from tocsin_common.settings import SchedulerSettings
from tocsin_dispatcher import clock
from tocsin_dispatcher.connections import Connections
from tocsin_dispatcher.scheduler import app


class Process:
    """From its start to its end; what is started again is another one."""

    def __init__(
        self, world: World, name: str, server: Server, broker: Broker, settings: SchedulerSettings
    ) -> None:
        self.name = name
        self.is_alive = True
        self.knows, self.is_told_paused, self.told_at = 0, False, world.now
        self.frozen_until = 0.0
        self.pause_s = 0.5
        """How long it takes until its supervisor starts it again."""
        self._is_suspended = False
        self.has_ended: Callable[[], None] = lambda: None
        self._world = world
        self.loop = VirtualLoop(lambda: world.now, self._complain)
        self.stop = asyncio.Event()
        connections = Connections(Pool(server, self), broker.connection(self), broker.connection(self))  # type: ignore[arg-type]  # models
        serving = self.loop.create_task(app.serve(settings, connections, name, self.stop))
        serving.add_done_callback(self._ended)
        world.processes.append(self)

    def next_at(self) -> float:
        """When it has something to do."""
        at = self.loop.next_at()
        return at if at > self.frozen_until else self.frozen_until

    def run(self) -> None:
        """Do what is to be done now."""
        self.loop.run_ready()

    def crash(self) -> None:
        """It is gone, between two steps."""
        if self.is_alive:
            self._world.note(f"{self.name} is killed")
            self._end()

    def crash_after(self, steps: int) -> None:
        """It will be gone after so many steps."""
        self.loop.run_at_most(steps, self.crash)

    def freeze(self, seconds: float, *, is_suspended: bool = False) -> None:
        """SIGSTOP and SIGCONT, or the machine sleeps: then asyncio's clock stands still as well."""
        if self._world.now < self.frozen_until:
            return
        self._world.note(f"{self.name} is frozen", seconds=round(seconds, 3), is_suspended=is_suspended)
        self.frozen_until = self._world.now + seconds
        self.loop.interrupt()
        if is_suspended:
            self.loop.lag_s += seconds
        self._is_suspended = is_suspended

    def thaw(self) -> None:
        """It goes on at once, if it is frozen."""
        left_s = max(0.0, self.frozen_until - self._world.now)
        if self._is_suspended:
            self.loop.lag_s -= left_s
        self.frozen_until, self._is_suspended = 0.0, False

    def end_gracefully(self) -> None:
        """SIGTERM."""
        self._world.note(f"{self.name} is told to stop")
        self.loop.call_soon(self.stop.set)

    def bury(self) -> None:
        """Leave nothing of it behind."""
        self.is_alive = False
        self.loop.bury()

    def _ended(self, serving: "asyncio.Task[None]") -> None:
        if not self.is_alive:
            return
        error = None if serving.cancelled() else serving.exception()
        if error is not None:
            self._world.problem(f"{self.name} ended with {_leaves(error)}")
        self._world.note(f"{self.name} has ended")
        self._end()

    def _end(self) -> None:
        self.is_alive = False
        self.loop.interrupt()
        self._world.processes.remove(self)
        self._world.dead.append(self)
        self.has_ended()

    def _complain(self, text: str) -> None:
        if self.is_alive:
            self._world.problem(f"{self.name}: {text}")


def _leaves(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(map(_leaves, error.exceptions))
    return repr(error)


class _Time:
    """What stands for the module `time` where the scheduler asks how long ago something was."""

    CLOCK_BOOTTIME = 7

    def __init__(self, world: World) -> None:
        self._world = world

    def clock_gettime(self, _: int) -> float:
        return self._world.now


@contextmanager
def virtual(world: World) -> Iterator[None]:
    """The processes' clock is the world's, and their log is its trace."""
    before = structlog.get_config()

    def write(_: Any, __: str, event: dict[str, Any]) -> str:
        if world.trace is not None:
            event.pop("holder", None)  # its last part is another in each run
            world.note(f"  log {event.pop('event')}", **event)
        raise structlog.DropEvent

    structlog.configure(processors=[write], wrapper_class=structlog.BoundLogger, cache_logger_on_first_use=False)
    try:
        with mock.patch.object(clock, "time", _Time(world)):
            yield
    finally:
        structlog.configure(**before)
