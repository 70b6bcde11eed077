"""A relay in front of a server, so that a test can take the server away and bring it back."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from tocsin_local import ports

BACKLOG = 1024  # a burst's connections come at once, and the machine may be busy
AT_ONCE = struct.pack("ii", 1, 0)
"""Of SO_LINGER: a connection that is closed is reset, and what was under way is dropped."""


class Relay:
    """Passes bytes and resets on, on a port of its own; `cut` resets every connection and takes no new ones.

    `freeze` keeps the connections and passes nothing on, `mute` nothing that the server says, `halve` only half of
    what a client says.
    """

    def __init__(self, url: str, hosts: Sequence[str] = ("127.0.0.1",), tls: ssl.SSLContext | None = None) -> None:
        """It listens on all `hosts`, on one port. With `tls` its clients speak https, and the server http."""
        self._target = urlsplit(url)
        self.hosts = hosts
        self.tls = tls
        """The certificate that it shows; another one from the next `restore` on."""
        self.struck = 0
        """So often it stood in the way: connections that it reset, and words that it held back or cut short."""
        self.ended = 0
        """Connections that were there and are not any more, whoever ended them."""
        self._pairs: set[asyncio.Task[None]] = set()
        self._port = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._answering = asyncio.Event()
        self._answering.set()
        self._whole = asyncio.Event()
        self._whole.set()
        self._last_words = b""
        self._awaited_words = b""
        self._heard = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._port = ports.choose()  # none that another connection may get while this one is cut
        await self.restore()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()

    @property
    def url(self) -> str:
        """The server's URL with the relay's port."""
        return self.url_at(self.hosts[0])

    def url_at(self, host: str) -> str:
        """The same at one of its hosts."""
        login, at, _ = self._target.netloc.rpartition("@")
        scheme = self._target.scheme if self.tls is None else "https"
        return urlunsplit(self._target._replace(scheme=scheme, netloc=f"{login}{at}{host}:{self._port}"))

    async def restore(self) -> None:
        """Take connections, on the same port each time."""
        self._servers = [await self._listen(host) for host in self.hosts]

    async def cut(self) -> None:
        """Reset every connection; new ones are refused."""
        for server in self._servers:
            server.close()
        self.struck += len(self._pairs)
        for pair in self._pairs:
            pair.cancel()
        await asyncio.gather(*self._pairs, return_exceptions=True)

    def freeze(self) -> None:
        """Pass nothing on."""
        self._flowing.clear()

    def freeze_before(self, words: bytes) -> None:
        """Freeze when somebody says `words`: they are not passed on."""
        self._last_words = words

    async def hears(self, words: bytes) -> None:
        """Returns as soon as somebody says `words`: they are passed on."""
        self._heard.clear()
        self._awaited_words = words
        await self._heard.wait()

    def thaw(self) -> None:
        """Pass on again, with what was held."""
        self._flowing.set()

    def mute(self) -> None:
        """Pass on what clients say, and nothing of what the server answers."""
        self._answering.clear()

    def unmute(self) -> None:
        """Pass answers on again, with those that were held."""
        self._answering.set()

    def halve(self) -> None:
        """Pass on half of whatever a client says next, and nothing more of it."""
        self._whole.clear()

    def make_whole(self) -> None:
        """Pass on what clients say, with the halves that were held."""
        self._whole.set()

    async def _listen(self, host: str) -> asyncio.Server:
        return await asyncio.start_server(self._accept, host, self._port, backlog=BACKLOG, ssl=self.tls)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pairs.add(task)
        try:
            await self._join(reader, writer)
        except OSError:
            pass  # one of the two ends is gone
        except asyncio.CancelledError:  # the test cuts the line
            _reset_at_close(writer)
        finally:
            self._pairs.discard(task)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        pumps = [
            asyncio.create_task(self._pump(reader, inner_writer, self._whole, keeps=0.5)),
            asyncio.create_task(self._pump(inner_reader, writer, self._answering)),
        ]
        try:
            ended, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if any(isinstance(pump.exception(), ConnectionResetError) for pump in ended):
                _reset_at_close(inner_writer)
                _reset_at_close(writer)
        except asyncio.CancelledError:
            _reset_at_close(inner_writer)
            raise
        finally:
            self.ended += 1
            inner_writer.transport.abort()  # before anything that the test may cut short
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may_go: asyncio.Event, keeps: float = 1
    ) -> None:
        """Where it may not go on, it holds `keeps` of what it has, and passes on the rest."""
        while chunk := await reader.read(65_536):
            if self._last_words and self._last_words in chunk:
                self._last_words = b""
                self.freeze()
            await self._pass(self._flowing)
            if not may_go.is_set():
                begin = len(chunk) - int(len(chunk) * keeps)
                writer.write(chunk[:begin])
                await self._pass(may_go)
                chunk = chunk[begin:]
            writer.write(chunk)
            if self._awaited_words and self._awaited_words in chunk:
                self._awaited_words = b""
                self._heard.set()
            await writer.drain()

    async def _pass(self, gate: asyncio.Event) -> None:
        self.struck += not gate.is_set()
        await gate.wait()


def _reset_at_close(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
