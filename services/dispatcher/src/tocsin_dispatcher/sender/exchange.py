"""ADAPTER. One POST and its answer over a connection of the guarded client's, with nothing around them.

aiohttp connects, keeps connections and reads what comes. What its session does besides is of no use to a webhook:
cookies, redirects, proxies, second tries, and objects for each request and response. It took two thirds of the
processor's time of a POST.
"""

import asyncio
from functools import lru_cache
from typing import NamedTuple

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from aiohttp.streams import StreamReader
from yarl import URL

from tocsin_common.errors import TocsinError
from tocsin_common.head_first import SWITCHING_PROTOCOLS
from tocsin_common.http import Body, heed_keep_alive, read_body
from tocsin_dispatcher.sender.outcome import Answer

ORIGINS = 1000  # whose places are kept, 3 KB each
UNTIMED = aiohttp.ClientTimeout(total=None)  # the time of a POST is the caller's
NO_BODY = Body(b"", is_cut=False)
UNUSABLE = "none that can be posted to"


class UnusableUrlError(TocsinError):
    """A URL that nothing can be posted to. The text says nothing of it."""


class NotHttpError(TocsinError):
    """What came as an answer was not HTTP."""


class Target(NamedTuple):
    """Where POSTs go that have the same URL."""

    place: aiohttp.ClientRequest
    """What is connected to; it is never sent."""
    head: str
    """The lines that are the same for all of them."""


class Exchanger:
    """Posts over the connections of one session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._place = lru_cache(ORIGINS)(self._place_of)

    def target(self, url: str) -> Target:
        """Raises UnusableUrlError."""
        try:
            parsed = URL(url)
            place = self._place(parsed.origin())
        except ValueError:  # its text has the URL
            raise UnusableUrlError(UNUSABLE) from None
        headers = {"Host": parsed.host_port_subcomponent, **self._session.headers, "Accept": "*/*"}
        return Target(place, f"POST {parsed.raw_path_qs} HTTP/1.1\r\n{_lines(headers)}")

    async def post(self, target: Target, headers: dict[str, str], body: bytes, *, timeout_s: float) -> Answer:
        """Raises TimeoutError, aiohttp.ClientError, OSError or NotHttpError where no status comes in time, and
        UnusableUrlError where its host can be none.

        `headers` are ours, and nothing of a stranger's is in them.
        """
        end = asyncio.get_running_loop().time() + timeout_s
        lines = _lines({**headers, "Content-Length": str(len(body))})
        async with asyncio.timeout_at(end):
            connection = await self._connect(target)
            try:
                message, content = await _ask(connection.protocol, f"{target.head}{lines}\r\n".encode() + body)
            except BaseException:
                _break_off(connection)
                raise
        try:
            rest = NO_BODY if content.at_eof() else await read_body(content, end)
        finally:
            connection.release()  # and ends it where the answer goes on, or where more has come
        heads = {name.lower(): value for name, value in message.headers.items()}
        return Answer(message.code, heads, rest.data, rest.is_cut)

    async def _connect(self, target: Target) -> Connection:
        connector = self._session.connector
        if connector is None:
            raise aiohttp.ClientConnectionError("the session is closed")
        try:
            return await connector.connect(target.place, [], UNTIMED)
        except aiohttp.InvalidURL:  # a host that is a number
            raise UnusableUrlError(UNUSABLE) from None

    def _place_of(self, origin: URL) -> aiohttp.ClientRequest:
        return aiohttp.ClientRequest("POST", origin, loop=asyncio.get_running_loop(), session=self._session)


def _break_off(connection: Connection) -> None:
    """End it at once: closed, it would still send the rest of its request, when the next try may be under way."""
    if connection.protocol is not None:
        connection.protocol.abort()
    connection.close()


async def _ask(protocol: ResponseHandler | None, request: bytes) -> tuple[RawResponseMessage, StreamReader]:
    """Send `request`; return the status with its headers, and what brings the rest."""
    if protocol is None or protocol.transport is None or protocol.transport.is_closing():
        raise aiohttp.ClientOSError("the connection has ended")
    protocol.set_response_params(read_until_eof=True, auto_decompress=False)
    protocol.transport.write(request)
    try:
        while True:
            message, content = await protocol.read()
            if not 100 <= message.code < 200 or message.code == SWITCHING_PROTOCOLS:
                heed_keep_alive(protocol, message.headers)
                return message, content
    except HttpProcessingError as error:
        raise NotHttpError(f"status {error.code}") from error


def _lines(headers: dict[str, str | None]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())
