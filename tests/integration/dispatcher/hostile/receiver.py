"""SHELL. A receiver that knows no HTTP: what it says on a connection is the test's to say, byte by byte."""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

WAIT_S = 30.0  # a bound for tests, which wait for less


class Connection:
    """One connection, from the receiver's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.requests: list[bytes] = []
        self.sent = 0
        """Bytes that the other side's machine has taken, or this one's buffers hold."""

    async def request(self) -> bytes:
        """The next request, head and body; asyncio.IncompleteReadError where none comes."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        body = await self._reader.readexactly(int(length[1]) if length else 0)
        self.requests.append(head + body)
        return head + body

    async def send(self, data: bytes) -> None:
        """Send this and wait where the other side does not take it."""
        self._writer.write(data)
        await self._writer.drain()
        self.sent += len(data)

    async def send_for_ever(self, data: bytes) -> None:
        """Until the other side goes."""
        while True:
            await self.send(data)

    async def silence(self) -> None:
        """Say nothing until the other side goes."""
        while await self._reader.read(65_536):
            pass

    def reset(self) -> None:
        """Break the connection off."""
        connection: socket.socket = self._writer.get_extra_info("socket")
        # With no time to linger, closing resets.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Behaviour = Callable[[Connection], Awaitable[None]]


class RawReceiver:
    """Behaves on each connection as it is told, then closes it; on a free port of loopback."""

    def __init__(self, behave: Behaviour, *, tls: ssl.SSLContext | None = None) -> None:
        self._behave = behave
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._left = asyncio.Event()
        self.connections: list[Connection] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def requests(self) -> list[bytes]:
        """All that came whole."""
        return [request for connection in self.connections for request in connection.requests]

    async def left(self) -> None:
        """Return once no connection is open any more."""
        async with asyncio.timeout(WAIT_S):
            while self._tasks:
                self._left.clear()
                await self._left.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = Connection(reader, writer)
        self.connections.append(connection)
        try:
            # What the other side does to a connection is no error here: this is what is tried.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._behave(connection)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()
            self._tasks.discard(task)
            self._left.set()


def answers(*answer: bytes) -> Behaviour:
    """Take a request, send this, and close."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        for part in answer:
            await connection.send(part)

    return behave


def answers_each(*answers: bytes) -> Behaviour:
    """One of these for each request on a connection, which stays open after the last."""

    async def behave(connection: Connection) -> None:
        for answer in answers:
            await connection.request()
            await connection.send(answer)
        await connection.silence()

    return behave
