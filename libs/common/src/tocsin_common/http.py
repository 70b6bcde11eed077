"""ADAPTER. The guarded HTTP client: it connects to public addresses only, follows nothing, reads little.

The address is checked on the very socket that is then connected, so no name, literal or second look-up
gets around it.
"""

import ipaddress
import socket
from typing import Any

import aiohttp

MAX_ANSWER_BYTES = 65_536
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_6TO4 = ipaddress.ip_network("2002::/16")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # all of IPv6 that is assigned for public use so far
# Python counts these as global although no webhook can live there.
_DENIED = tuple(ipaddress.ip_network(net) for net in ("192.0.0.0/24", "2001::/32"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ForbiddenAddressError(OSError):
    """The receiver's name led to an address that is not public."""


def open_session(
    *, allow_local: bool, user_agent: str, connections: int, tracing: aiohttp.TraceConfig
) -> aiohttp.ClientSession:
    """A session whose sockets reach public addresses only (and loopback, with `allow_local`)."""

    def open_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not may_connect(ipaddress.ip_address(address[0].partition("%")[0]), allow_local=allow_local):
            raise ForbiddenAddressError("the webhook's host has no public address")
        return socket.socket(family, kind, protocol)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, socket_factory=open_socket),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
        trace_configs=[tracing],
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


async def read_some(response: aiohttp.ClientResponse) -> bytes:
    """At most MAX_ANSWER_BYTES of the body; the rest is left unread."""
    chunks: list[bytes] = []
    missing = MAX_ANSWER_BYTES
    while missing > 0 and (chunk := await response.content.read(missing)):
        chunks.append(chunk)
        missing -= len(chunk)
    if missing == 0:
        response.close()
    return b"".join(chunks)


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
