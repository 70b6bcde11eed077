"""ADAPTER. The guarded HTTP client: it connects to public addresses only, follows nothing, reads little.

The address is checked on the very socket that is then connected, so no name, literal or second look-up
gets around it.
"""

import asyncio
import functools
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.streams import StreamReader
from aiohttp.tracing import Trace

from tocsin_common.head_first import HeadFirst
from tocsin_common.resolver import Resolver
from tocsin_common.webhook import DISCORD_HOSTS

MAX_ANSWER_BYTES = 65_536
# What the kernel keeps of an answer until it is read. It would keep some MB, and those are parsed in one go: one
# receiver that sent `HTTP/1.1 100 Continue` without end stopped all else for 2 s at a time, and took 145 MB.
RECEIVE_BUFFER_BYTES = 16_384
# A POST that crosses the end of its connection on the way may be lost or not: nobody can tell. Many servers end an
# idle connection after 5 s; some say after how long. Discord's end one after 400 s (Cloudflare's documentation,
# "Connection limits"), but a router in between may forget it after some minutes.
IDLE_S = 4.0
IDLE_AT_DISCORD_S = MOST_IDLE_S = 90.0
IDLE_MARGIN_S = 1.0
_TIMEOUT = re.compile(r"(?:^|[\s,])timeout=(\d{1,6})(?:$|[\s,])", re.ASCII | re.IGNORECASE)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_6TO4 = ipaddress.ip_network("2002::/16")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # all of IPv6 that is assigned for public use so far
# Python counts these as global although no webhook can live there.
_DENIED = tuple(ipaddress.ip_network(net) for net in ("192.0.0.0/24", "2001::/32"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ForbiddenAddressError(OSError):
    """The receiver's name led to an address that is not public."""


class Body(NamedTuple):
    """What was read of an answer's body."""

    data: bytes
    is_cut: bool
    """It goes on: it is too long, broke off or did not end in time."""


is_connected: ContextVar[bool] = ContextVar("is_connected", default=False)
"""Whether the current task's request has a connection: before that, nothing of it has left."""


class _Reuse:
    """Of one connection: when its last request began, and how long after that it may take the next."""

    __slots__ = ("began_at", "idle_s")

    def __init__(self, idle_s: float) -> None:
        self.began_at = 0.0
        self.idle_s = idle_s


_reuses: WeakKeyDictionary[ResponseHandler, _Reuse] = WeakKeyDictionary()


class _Response(aiohttp.ClientResponse):
    """Notes how long its server lets an idle connection stand, where it says so."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        protocol = connection.protocol
        await super().start(connection)
        if protocol is not None:
            heed_keep_alive(protocol, self.headers)
        return self


class _Connector(aiohttp.TCPConnector):
    """Uses no connection again that its server may be about to end, or on which something came while it was idle.

    aiohttp would take that for the answer to the next request: after a receiver that answers one POST twice, the
    next would count as delivered whatever became of it.
    """

    def __init__(self, *, clock: Callable[[], float], **options: Any) -> None:
        super().__init__(**options)
        self._clock = clock
        self._factory: functools.partial[Any] = functools.partial(HeadFirst, loop=self._loop)

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        while (protocol := connection.protocol) is not None and not _may_take_next(protocol, self._clock()):
            connection.close()
            connection = await super().connect(req, traces, timeout)
        if protocol is not None:
            idle_s = IDLE_AT_DISCORD_S if req.url.host in DISCORD_HOSTS else IDLE_S
            _reuses.setdefault(protocol, _Reuse(idle_s)).began_at = self._clock()
        is_connected.set(True)
        return connection


def heed_keep_alive(protocol: ResponseHandler, headers: Mapping[str, str]) -> None:
    """Note how long this connection may be idle, where the headers of an answer on it say so."""
    reuse = _reuses.get(protocol)
    if reuse is not None and (told := headers.get("Keep-Alive")):
        reuse.idle_s = _idle_s(told, reuse.idle_s)


def _idle_s(keep_alive: str, otherwise: float) -> float:
    """How long a connection may be idle by the header of that name, which is the server's estimate (RFC 2068)."""
    told = _TIMEOUT.search(keep_alive)
    return otherwise if told is None else min(float(told[1]) - IDLE_MARGIN_S, MOST_IDLE_S)


def _may_take_next(protocol: ResponseHandler, now: float) -> bool:
    reuse = _reuses.get(protocol)
    if reuse is None:  # a new one
        return True
    return not protocol.should_close and now - reuse.began_at <= reuse.idle_s


def open_session(
    *,
    allow_local: bool,
    user_agent: str,
    connections: int,
    resolver: AbstractResolver | None = None,
    tls: ssl.SSLContext | bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> aiohttp.ClientSession:
    """A session whose sockets reach public addresses only (and loopback, with `allow_local`).

    `resolver`, `tls` and `clock` stand in for how the system looks up names, whom it trusts, and by which seconds
    connections are idle.
    """

    def open_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not may_connect(ipaddress.ip_address(address[0].partition("%")[0]), allow_local=allow_local):
            raise ForbiddenAddressError("the webhook's host has no public address")
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        return opened

    return aiohttp.ClientSession(
        connector=_Connector(
            clock=clock,
            limit=connections,
            keepalive_timeout=MOST_IDLE_S,
            socket_factory=open_socket,
            resolver=resolver or Resolver(),
            ssl=tls,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
        response_class=_Response,
        auto_decompress=False,
        trust_env=False,
    )


def may_connect(address: Address, *, allow_local: bool) -> bool:
    """Whether a webhook may live at `address`; IPv4 hidden in IPv6 is unwrapped first."""
    address = _unwrapped(address)
    if address.is_loopback:
        return allow_local
    if address.version == 6 and address not in _GLOBAL_UNICAST:
        return False
    if address.is_multicast or any(address in net for net in _DENIED if net.version == address.version):
        return False
    return address.is_global


async def read_some(response: aiohttp.ClientResponse) -> Body:
    """The body of `response` as `read_body` reads it; where it goes on, the connection is closed."""
    body = await read_body(response.content)
    if body.is_cut:
        response.close()
    return body


async def read_body(content: StreamReader, end: float | None = None) -> Body:
    """At most MAX_ANSWER_BYTES of a body, until `end` by the loop's time; no error where it breaks off.

    The status has come, and says what the receiver did: it answers after the deed. To count an answer with half a
    body as none would have the same message posted twice.
    """
    chunks: list[bytes] = []
    missing = MAX_ANSWER_BYTES
    with suppress(aiohttp.ClientError, OSError, RuntimeError):  # the last: aiohttp's, of a connection that is gone
        async with asyncio.timeout_at(end):
            while missing > 0 and (chunk := await content.read(missing)):
                chunks.append(chunk)
                missing -= len(chunk)
    return Body(b"".join(chunks), not content.at_eof())


def _unwrapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _6TO4:
        return ipaddress.IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
