"""PURE. Which address a request counts for: whose X-Forwarded-For is believed, and what is one client."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
HEADER = b"x-forwarded-for"
CLIENT_BITS = 64  # of IPv6 a client has the whole network: it could come from another address each time


def forwarded(headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """The addresses in all X-Forwarded-For: each proxy has added at the end who asked it."""
    return [each for name, value in headers if name.lower() == HEADER for each in value.split(b",")]


def client(peer: str, forwarded: Sequence[bytes], trusted: Sequence[Network]) -> str:
    """Who asked: `peer`, or where that is a trusted proxy the one who asked it, and so on.

    The first address that is not trusted is the client's: whatever stands before it, it may have made up.
    """
    found = _parse(peer.encode())
    if found is None:
        return peer
    for each in reversed(forwarded):
        before = _parse(each)
        if before is None or not any(found in network for network in trusted):
            break
        found = before
    return _network(found)


def _parse(text: bytes) -> IPv4Address | IPv6Address | None:
    """An address, perhaps with a port; one of IPv4 that was written as IPv6 is one of IPv4."""
    host = text.decode("latin-1").strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address) >> CLIENT_BITS << CLIENT_BITS, CLIENT_BITS)))
