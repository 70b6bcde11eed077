"""SHELL. Receivers that misbehave: each URL answers in a way of its own, and may repeat what it was called by."""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TLS_HANDSHAKE = b"\x16"  # what a client begins with that takes a plain server for one with TLS
DRIP_S = 0.1  # between two bytes
NUMBER = re.compile(r"hooks/(\d+)")


@dataclass(slots=True)
class Call:
    """One request, and the connection that it came on."""

    url: str
    """The whole URL, as its owner knows it."""
    token: str
    head: str
    """Request line and headers, as they came."""
    writer: asyncio.StreamWriter

    async def write(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def until_the_client_goes(self) -> None:
        """Say nothing more."""
        await self.writer.wait_closed()


Behaviour = Callable[[Call], Awaitable[None]]


class Hostile:
    """A plain server and one with a certificate that nobody vouches for, on free ports of loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._behaviours: dict[str, tuple[Behaviour, str, str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._called = asyncio.Event()
        self.calls: list[Call] = []
        self.port = 0
        self.tls_port = 0

    async def __aenter__(self) -> Self:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_self_signed_certificate(self._folder))
        self._plain = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._tls = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port, self.tls_port = (server.sockets[0].getsockname()[1] for server in (self._plain, self._tls))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._plain.close()
        self._tls.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, behaviour: Behaviour, shape: str, token: str) -> str:
        """A URL of `shape`, which names <port>, <tls-port>, <number> and <token>, that behaves so."""
        number = str(10**17 + len(self._behaviours) + 1)
        url = shape.replace("<port>", str(self.port)).replace("<tls-port>", str(self.tls_port))
        url = url.replace("<number>", number).replace("<token>", token)
        self._behaviours[number] = (behaviour, url, token)
        return url

    async def called(self, url: str) -> None:
        """Return once somebody has called `url`."""
        while not any(call.url == url for call in self.calls):
            self._called.clear()
            await self._called.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            # What the other side does to a connection is no error here: this is what is tried.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._answer(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(1)
        if first == TLS_HANDSHAKE:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        number = NUMBER.search(head)
        assert number is not None
        behaviour, url, token = self._behaviours[number[1]]
        call = Call(url, token, head, writer)
        self.calls.append(call)
        self._called.set()
        await behaviour(call)


def says(status: str, body: str = "", *headers: str, spelled: Callable[[str], str] = str) -> Behaviour:
    """Answer so. <url> and <token> stand for what the receiver was called by, spelled in some way."""

    async def answer(call: Call) -> None:
        def fill(text: str) -> str:
            return text.replace("<url>", spelled(call.url)).replace("<token>", spelled(call.token))

        content = fill(body).encode()
        lines = [f"HTTP/1.1 {fill(status)}", *map(fill, headers), f"Content-Length: {len(content)}"]
        await call.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + content)

    return answer


def sends(data: str) -> Behaviour:
    """Write this, whatever it is, and close. <url> and <token> as in `says`."""

    async def answer(call: Call) -> None:
        await call.write(data.replace("<url>", call.url).replace("<token>", call.token).encode("latin-1"))

    return answer


def resets(after: str = "") -> Behaviour:
    """Break the connection off, before anything or after this."""

    async def answer(call: Call) -> None:
        await sends(after)(call)
        connection: socket.socket = call.writer.get_extra_info("socket")
        # With no time to linger, closing resets.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return answer


async def is_silent(call: Call) -> None:
    """Take the request and never answer."""
    await call.until_the_client_goes()


async def drips(call: Call) -> None:
    """An answer without end, byte by byte: each of them comes in time."""
    await sends("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n<url>")(call)
    while True:
        await call.write(b".")
        await asyncio.sleep(DRIP_S)


def _self_signed_certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = folder / "self-signed.pem"
    path.write_bytes(
        key.private_bytes(encoding, private, serialization.NoEncryption()) + certificate.public_bytes(encoding)
    )
    return path
