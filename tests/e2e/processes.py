"""Tocsin's real processes under test: started, listened to by their log events, and ended by signal."""

import asyncio
import signal
import socket
import sys
from collections import deque
from collections.abc import Container, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from environment import INHERITED
from tocsin_common.failpoints import Failpoint
from waiting import eventually

BIN = Path(sys.executable).parent
ARMED = Path(__file__).parent / "armed.py"
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 20
MAX_LINE = 2**20  # a traceback in JSON is one line


class Tocsin:
    """One process of Tocsin. Its log is JSON lines, which tests wait for."""

    def __init__(
        self, process: asyncio.subprocess.Process, command: str, uninteresting: Container[str] = ()
    ) -> None:
        self.process = process
        self.command = command
        self.output = bytearray()
        """Every byte that it wrote, to stdout and stderr alike."""
        self.events: list[dict[str, Any]] = []
        self._uninteresting = uninteresting
        self.last_lines: deque[str] = deque(maxlen=50)
        self._changed = asyncio.Event()
        self._readers = asyncio.gather(*(self._read(stream) for stream in (process.stderr, process.stdout)))

    @classmethod
    async def start(
        cls,
        *command: str,
        env: Mapping[str, str],
        dies_at: Failpoint | None = None,
        freezes_at: Failpoint | None = None,
        cancels_at: Failpoint | None = None,
        nth: int = 1,
        folder: Path | None = None,
        uninteresting: Container[str] = (),
    ) -> "Tocsin":
        """Run a console script, e.g. `tocsin-dispatcher send`; it may be hit when it is at a failpoint.

        There it dies, freezes, or cancels the task that has got there. It runs in `folder`, or where the tests do.
        Of events that are `uninteresting` only the output is kept, for a process that logs hundreds of thousands.
        """
        blow = "SIGKILL" if dies_at is not None else "SIGSTOP" if freezes_at is not None else "CANCEL"
        failpoint = dies_at or freezes_at or cancels_at
        armed = [sys.executable, "-P", ARMED, blow, failpoint, str(nth), command[0]]
        process = await asyncio.create_subprocess_exec(
            *(armed if failpoint is not None else [BIN / command[0]]),
            *command[1:],
            env={**INHERITED, **env},
            cwd=folder,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE,
        )
        return cls(process, " ".join(command), uninteresting)

    async def logged(self, event: str, *, count: int = 1, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """The `count`th log line with this event, as soon as it is there."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(found := self.all_logged(event)) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"no {event!r} within {timeout_s} s in:\n" + "\n".join(self.last_lines)) from None
        return found[count - 1]

    def has_logged(self, event: str) -> bool:
        """Whether there is a log line with this event so far."""
        return any(self.all_logged(event))

    def all_logged(self, event: str) -> list[dict[str, Any]]:
        """The log lines with this event so far."""
        return [line for line in self.events if line.get("event") == event]

    async def died(self) -> None:
        """Returns once it has ended itself by SIGKILL, as a process does at the failpoint it was armed with."""
        try:
            status = await asyncio.wait_for(self.process.wait(), START_TIMEOUT_S)
        except TimeoutError:
            raise TimeoutError("it did not get to its failpoint:\n" + "\n".join(self.last_lines)) from None
        assert status == -signal.SIGKILL, "\n".join(self.last_lines)

    async def frozen(self) -> None:
        """Returns once it stands still at the failpoint it was armed with."""
        try:
            await eventually(partial(asyncio.to_thread, self._stands_still))
        except TimeoutError:
            raise TimeoutError("it did not get to its failpoint:\n" + "\n".join(self.last_lines)) from None

    def thaw(self) -> None:
        """Let it go on from where it stands still."""
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End it as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        await asyncio.wait_for(self.ended(), STOP_TIMEOUT_S)

    async def stop(self) -> int:
        """End it as an operator would; returns its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            self.thaw()  # one that stands still would only stop once it goes on
        try:
            status = await asyncio.wait_for(self.ended(), STOP_TIMEOUT_S)
        except TimeoutError:
            await self.kill()
            raise TimeoutError("it did not end:\n" + "\n".join(self.last_lines)) from None
        if status:
            print(f"{self.command} ended with {status}:", *self.last_lines, sep="\n")
        return status

    async def ended(self) -> int:
        """Its exit status, once it has ended and all that it wrote was read."""
        status = await self.process.wait()
        await asyncio.shield(self._readers)
        return status

    def _stands_still(self) -> bool:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    async def _read(self, stream: asyncio.StreamReader | None) -> None:
        if stream is None:
            raise RuntimeError("the process was started without a pipe")
        async for line in stream:
            self.output += line
            text = line.decode(errors="replace").rstrip()
            self.last_lines.append(text)
            try:
                event = msgspec.json.decode(text)
            except msgspec.DecodeError:
                continue
            if isinstance(event, dict) and event.get("event") not in self._uninteresting:
                self.events.append(event)
                self._changed.set()


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
