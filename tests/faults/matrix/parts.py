"""SHELL. The processes of a run: one that ends by itself is started again, as a deployment's supervisor does."""

import asyncio
import signal
from collections.abc import Mapping
from typing import Literal

from e2e.crew import Crew
from e2e.processes import Tocsin
from waiting import eventually

Role = Literal["api", "scheduler", "sender"]

COMMANDS: Mapping[Role, tuple[str, str]] = {
    "api": ("tocsin-api", "serve"),
    "scheduler": ("tocsin-dispatcher", "schedule"),
    "sender": ("tocsin-dispatcher", "send"),
}
READY: Mapping[Role, str] = {"api": "api.started", "scheduler": "tasks.loaded", "sender": "sender.consuming"}
READY_TIMEOUT_S = 180.0
RESTART_S = 1.0  # what a supervisor waits, so that it does not start without end


class Part:
    """One process, and those that take its place."""

    def __init__(self, crew: Crew, role: Role, name: str, changes: Mapping[str, str]) -> None:
        self.role = role
        self.name = name
        self.ends = 0
        """So often it has ended although nobody told it to."""
        self._crew = crew
        self._changes = dict(changes)
        self._watching: asyncio.Task[None] | None = None

    @property
    def process(self) -> Tocsin:
        """The one that runs."""
        return self._process

    @property
    def pid(self) -> int:
        """Its pid."""
        return self._process.process.pid

    def change(self, changes: Mapping[str, str]) -> None:
        """Give it these settings from its next start on."""
        self._changes.update(changes)

    async def start(self) -> None:
        """Start it, and watch over it."""
        self._process = await self._crew.start(*COMMANDS[self.role], **self._changes)
        self._watching = asyncio.create_task(self._watch(self._process))

    async def ready(self) -> None:
        """Returns once it does its work; a scheduler, once it knows the tasks."""
        await eventually(self._is_ready, timeout_s=READY_TIMEOUT_S)

    async def kill(self) -> None:
        """End it by SIGKILL; it stays away until `start`."""
        self.forget()
        if self._process.process.returncode is None:
            await self._process.kill()

    async def stop(self) -> int:
        """End it by SIGTERM; its exit status. It stays away until `start`."""
        self.forget()
        return await self._process.stop()

    def freeze(self) -> None:
        """Let it stand still, until `thaw`."""
        self._process.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.thaw()

    def forget(self) -> None:
        """Watch over it no more."""
        if self._watching is not None:
            self._watching.cancel()

    async def _is_ready(self) -> bool:
        """Of the process that runs now, which may be another one than that which was started."""
        return self._process.has_logged(READY[self.role])

    async def _watch(self, process: Tocsin) -> None:
        await process.ended()
        self.ends += 1
        await asyncio.sleep(RESTART_S)
        await self.start()
