"""ADAPTER. What the machine and the processes show of a run while it goes on, looked at again and again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx

from faults.matrix import patience

EVERY_S = 2.0
TIMEOUT_S = 2.0
COMMAND_LINES, STATEMENTS = "command lines", "statements"
ACTIVITY = (
    "SELECT concat_ws(' | ', usename, application_name, query) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
)
PROCESSES = Path("/proc")


class Watch:
    """Of one run. Each line that is seen is kept once."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {COMMAND_LINES: set(), STATEMENTS: set()}
        self._metrics_ports: dict[str, int] = {}

    def add_process(self, name: str, metrics_port: int) -> None:
        """One whose metrics are served there, whenever it runs."""
        self._metrics_ports[name] = metrics_port
        self._seen[_metrics_of(name)] = set()

    async def go_on(self, database: asyncpg.Pool) -> None:
        """Look, until this is cancelled. Whoever is away has nothing to show."""
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            while True:
                self._keep(COMMAND_LINES, await asyncio.to_thread(lambda: set(_command_lines())))
                await self._look_at_statements(database)
                looks = (self._look_at_metrics(client, *process) for process in self._metrics_ports.items())
                await asyncio.gather(*looks)
                await asyncio.sleep(EVERY_S)

    def places(self) -> dict[str, str]:
        """All of it, by where it was seen."""
        return {place: "\n".join(sorted(lines)) for place, lines in self._seen.items()}

    async def _look_at_statements(self, database: asyncpg.Pool) -> None:
        try:
            self._keep(STATEMENTS, {row[0] for row in await database.fetch(ACTIVITY)})
        except patience.AWAY:
            return

    async def _look_at_metrics(self, client: httpx.AsyncClient, name: str, port: int) -> None:
        try:
            answer = await client.get(f"http://127.0.0.1:{port}/metrics")
        except httpx.TransportError:
            return
        # Without the values, which are numbers: they are others each time.
        self._keep(_metrics_of(name), {line.rpartition(" ")[0] for line in answer.text.splitlines()})

    def _keep(self, place: str, lines: set[str]) -> None:
        self._seen[place].update(lines)


def _metrics_of(name: str) -> str:
    return f"metrics of {name}"


def _command_lines() -> Iterator[str]:
    """Of every process of the machine: anybody may read them."""
    for file in PROCESSES.glob("[0-9]*/cmdline"):
        try:
            yield file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended
