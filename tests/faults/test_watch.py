"""What shows while a run goes on is kept: what is planted there is seen."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from faults.matrix import watch
from faults.matrix.watch import Watch
from waiting import eventually

STATEMENT, ARGUMENT, LABEL = "statement-6xQ2vB", "argument-9kR4mZ", "label-7wT1nC"
PLANTED = {"statements": STATEMENT, "command lines": ARGUMENT, "metrics of sender-1": LABEL}
METRICS = f'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nposts_total{{url="{LABEL}"}} 7\n'
SLEEP = "import sys; sys.stdin.read()"


@asynccontextmanager
async def served_metrics() -> AsyncIterator[int]:
    """The port of a process that shows a secret in a label."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(METRICS.encode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        yield port


@asynccontextmanager
async def process_with_an_argument() -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SLEEP, ARGUMENT, stdin=asyncio.subprocess.PIPE
    )
    try:
        yield
    finally:
        await process.communicate(b"")


async def test_statements_command_lines_and_metrics_are_seen(
    database_url: str, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watch, "EVERY_S", 0.05)
    await database.execute(f"SELECT '{STATEMENT}'")
    watched = Watch()

    async def seen() -> bool:
        found = watched.places()
        return all(text in found.get(place, "") for place, text in PLANTED.items())

    async with (
        served_metrics() as port,
        process_with_an_argument(),
        asyncpg.create_pool(database_url, min_size=1) as pool,
    ):
        watched.add_process("sender-1", port)
        watched.add_process("sender-2", 1)  # nobody serves there
        watching = asyncio.create_task(watched.go_on(pool))
        await eventually(seen)
        watching.cancel()


async def test_who_is_away_ends_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "EVERY_S", 0.01)
    pool = asyncpg.create_pool(database_url, min_size=1)
    watched = Watch()

    async with pool, process_with_an_argument():
        await pool.close()
        watching = asyncio.create_task(watched.go_on(pool))
        await eventually(lambda: _is_there(watched))

    assert not watching.done()
    watching.cancel()


async def _is_there(watched: Watch) -> bool:
    return ARGUMENT in watched.places().get("command lines", "")
