"""SHELL. The processes of a run: one that ends by itself is started again, as a deployment's supervisor does."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import httpx
from prometheus_client.parser import text_string_to_metric_families

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
ANSWER_S = 2.0
RESTART_S = 1.0  # what a supervisor waits, so that it does not start without end


class Part:
    """One process, and those that take its place."""

    def __init__(
        self,
        crew: Crew,
        role: Role,
        name: str,
        changes: Mapping[str, str],
        metrics_port: int,
        tell: Callable[[str], None],
    ) -> None:
        """`tell` whoever judges the run of a problem."""
        self.role = role
        self.name = name
        self.ends = 0
        """So often it has ended although nobody told it to."""
        self.killed: dict[int, datetime] = {}
        """The pids of those that were killed in its place, and when."""
        self._crew = crew
        self._changes = {**changes, "METRICS_PORT": str(metrics_port)}
        self._tell = tell
        self._processes: list[Tocsin] = []
        """All that ever ran, the newest last."""
        self._watching: asyncio.Task[None] | None = None

    @property
    def process(self) -> Tocsin:
        """The one that runs."""
        return self._processes[-1]

    @property
    def pid(self) -> int:
        """Its pid."""
        return self.process.process.pid

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log lines with this event so far, of all that ever ran in its place."""
        return [line for process in self._processes for line in process.all_logged(event)]

    async def shows(self, metric: str) -> float | None:
        """What its samples of a metric come to; None where it does not answer."""
        url = f"http://127.0.0.1:{self._changes['METRICS_PORT']}/metrics"
        try:
            async with httpx.AsyncClient(trust_env=False, verify=False, timeout=ANSWER_S) as client:  # noqa: S501 - http
                text = (await client.get(url)).raise_for_status().text
        except httpx.HTTPError:
            return None
        families = text_string_to_metric_families(text)
        return sum(sample.value for family in families for sample in family.samples if sample.name == metric)

    def change(self, changes: Mapping[str, str]) -> None:
        """Give it these settings from its next start on."""
        self._changes.update(changes)

    async def start(self) -> None:
        """Start it, and watch over it."""
        self._processes.append(await self._crew.start(*COMMANDS[self.role], **self._changes))
        self._watching = asyncio.create_task(self._watch(self.process))

    async def ready(self) -> None:
        """Returns once it does its work; a scheduler, once it knows the tasks."""
        await eventually(self._is_ready, timeout_s=READY_TIMEOUT_S)

    async def kill(self) -> None:
        """End it by SIGKILL; it stays away until `start`."""
        self.forget()
        self.killed[self.pid] = datetime.now(UTC)
        if self.process.process.returncode is None:
            await self.process.kill()

    async def stop(self) -> int:
        """End it by SIGTERM; its exit status. It stays away until `start`."""
        self.forget()
        return await self.process.stop()

    def freeze(self) -> None:
        """Let it stand still, until `thaw`."""
        self.process.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.thaw()

    def forget(self) -> None:
        """Watch over it no more."""
        if self._watching is not None:
            self._watching.cancel()

    async def _is_ready(self) -> bool:
        """Of the process that runs now, which may be another one than that which was started."""
        return self.process.has_logged(READY[self.role])

    async def _watch(self, process: Tocsin) -> None:
        await process.ended()
        self.ends += 1
        await asyncio.sleep(RESTART_S)
        try:
            await self.start()
        except Exception as error:  # whatever it is, nobody awaits this task
            self._tell(f"stop: {self.name} ended and could not be started again: {error!r}")
