"""What a load counts, at a local server that speaks HTTP."""

import asyncio
from collections.abc import AsyncIterator
from itertools import repeat

import pytest

from bench import load
from bench.load import Target
from tocsin_local.errors import StackError


class Server:
    """Answers with `status`, in two parts, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status = "200 OK"
        self.requests: list[str] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while head := await _head(reader):
            self.requests.append(head)
            writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: 4\r\n\r\nab".encode())
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(b"cd")
        writer.close()


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return ""
    length = head.partition("Content-Length: ")[2].partition("\r\n")[0]
    return head + (await reader.readexactly(int(length))).decode() if length else head


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def target(server: Server) -> AsyncIterator[Target]:
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        yield Target(listening.sockets[0].getsockname()[1], (("X-API-KEY", "it"),))


async def test_each_request_is_sent_and_timed_once(server: Server, target: Target) -> None:
    answered = await load.send(target, [target.get(f"/{n}") for n in range(50)], connections=4)

    assert sorted(each.split()[1] for each in server.requests) == sorted(f"/{n}" for n in range(50))
    assert server.connections == 4
    assert len(answered.times_ms) == 50
    assert answered.rate == pytest.approx(50 / answered.seconds)


async def test_body_and_headers_arrive(server: Server, target: Target) -> None:
    await load.send(target, [target.post("/tasks", b'{"a": 1}')])

    (request,) = server.requests
    assert request.startswith("POST /tasks HTTP/1.1\r\nHost: bench\r\nX-API-KEY: it\r\n")
    assert request.endswith('\r\n\r\n{"a": 1}')


async def test_load_of_some_time_ends(server: Server, target: Target) -> None:
    answered = await load.send(target, load.for_seconds(repeat(target.get("/")), 0.05), connections=2)

    assert answered.seconds >= 0.05
    assert len(server.requests) == len(answered.times_ms) > 0


async def test_answer_that_is_no_success_ends_the_load(server: Server, target: Target) -> None:
    server.status = "503 Service Unavailable"

    with pytest.raises(StackError, match=r"^A request has failed: HTTP/1\.1 503 Service Unavailable: abcd$"):
        await load.send(target, [target.get("/")] * 3, connections=2)
