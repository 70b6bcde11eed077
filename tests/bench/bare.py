"""SHELL. `python -m bench.bare`: the least that can answer like the API, granian and asyncpg, for comparison.

No routes, no key, no checks, no log: it runs STATEMENTS (a list in JSON) with the id at the path's end, and shows
the row of the first one.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import uvloop
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from tocsin_common import database

READY = "bare.ready"
JSON = (b"content-type", b"application/json")

Application = Callable[[dict[str, Any], Any, Callable[[dict[str, Any]], Awaitable[None]]], Awaitable[None]]


def application(pool: asyncpg.Pool, statements: Sequence[str]) -> Application:
    """Answers each request with a row as JSON."""

    async def answer(scope: dict[str, Any], _: Any, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        id_ = UUID(scope["path"].rpartition("/")[2])
        async with pool.acquire() as connection:
            row, *_ = [await connection.fetchrow(statement, id_) for statement in statements]
        body = msgspec.json.encode({**row, "payload": msgspec.Raw(row["payload"].encode())})
        headers = [JSON, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


async def serve(environ: dict[str, str]) -> None:
    """Until SIGTERM."""
    statements = msgspec.json.decode(environ["STATEMENTS"], type=list[str])
    pool = await database.open_pool(environ["DATABASE_URL"], size=10, name="bare", timeout_s=10)
    server = Server(
        application(pool, statements),
        address="127.0.0.1",
        port=int(environ["PORT"]),
        interface=Interfaces.ASGINL,
        websockets=False,
        log_access=False,
        log_level=LogLevels.error,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    server.on_startup(lambda: print(READY, flush=True))
    await server.serve()
    await database.close_pool(pool)


if __name__ == "__main__":
    uvloop.run(serve(dict(os.environ)))
