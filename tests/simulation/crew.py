"""The scheduler processes of a world, and what starts them again."""

from collections.abc import Callable
from typing import Any

from simulation.process import Process
from simulation.world import World


class Crew:
    """So many places, each with a process or on its way to the next."""

    def __init__(self, world: World, size: int, start: Callable[[str], Process]) -> None:
        self._world = world
        self._start = start
        self._lives = [0] * size
        self._processes: list[Process | None] = [None] * size
        self._is_healed = False

    def places(self) -> range:
        """Where a process may be."""
        return range(len(self._processes))

    def any(self) -> int:
        """One of the places."""
        return self._world.random.randrange(len(self._processes))

    def at(self, place: int) -> Process | None:
        """Who is there."""
        return self._processes[place]

    def start(self, place: int) -> None:
        """A process begins, unless there is one."""
        if self._processes[place] is not None:
            return
        self._lives[place] += 1
        process = self._start(f"s{place + 1}.{self._lives[place]}")
        process.has_ended = lambda: self._ended(place)
        self._processes[place] = process
        self._world.note(f"{process.name} begins")

    def crash(self, place: int, pause_s: float) -> None:
        """It is killed now, and started again after that time."""
        process = self._processes[place]
        if process is not None:
            process.pause_s = pause_s
            process.crash()

    def crash_after(self, place: int, steps: int, pause_s: float) -> None:
        """It is killed after some steps."""
        process = self._processes[place]
        if process is not None:
            process.pause_s = pause_s
            process.crash_after(steps)

    def crash_client(self, client: Any, pause_s: float) -> None:
        """A process that sent a statement is killed."""
        client.pause_s = pause_s
        client.crash()

    def stop(self, place: int, pause_s: float) -> None:
        """It is told to stop."""
        process = self._processes[place]
        if process is not None:
            process.pause_s = pause_s
            process.end_gracefully()

    def freeze(self, place: int, seconds: float, *, is_suspended: bool) -> None:
        """It is stopped for a while."""
        process = self._processes[place]
        if process is not None:
            process.freeze(seconds, is_suspended=is_suspended)

    def heal(self) -> None:
        """Every place has a process that runs."""
        self._is_healed = True
        for place, process in enumerate(self._processes):
            if process is None:
                self.start(place)
            else:
                process.thaw()

    def bury(self) -> None:
        """Leave nothing behind."""
        for process in [*self._world.dead, *filter(None, self._processes)]:
            process.bury()

    def _ended(self, place: int) -> None:
        process, self._processes[place] = self._processes[place], None
        pause_s = 0.1 if process is None or self._is_healed else process.pause_s
        self._world.after(pause_s, lambda: self.start(place))
