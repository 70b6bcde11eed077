"""SHELL. The lines between any two parts: a relay in each, which may be cut or fall silent."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from relay import Relay
from tocsin_common.settings_forms import rabbitmq_nodes

Server = Literal["database", "broker", "receiver"]
Key = tuple[str, Server]
"""The part's name (`sender-2`) and the server that the line leads to."""

RECEIVER_HOSTS = tuple(f"127.0.1.{number}" for number in range(1, 51))
"""An address for each destination: what a sender keeps within limits is an origin."""


class Tls(NamedTuple):
    """Hosts of the receiver that have a certificate."""

    hosts: Sequence[str]
    context: ssl.SSLContext


class Lines:
    """One for each part and server, and for each node of a cluster.

    To the receiver there is one for all senders, since a URL is the same for all; its hosts that have certificates
    have one of their own.
    """

    def __init__(self, relays: dict[Key, list[Relay]]) -> None:
        self._relays = relays

    def of(self, part: str, server: Server) -> Relay:
        """The one from a part to a server, to the first node of a cluster."""
        return self._relays[part, server][0]

    def url(self, part: str, server: Server) -> str:
        """Of the server, through the line; those of all nodes of a cluster, with commas between them."""
        return ",".join(relay.url for relay in self._relays[part, server])

    def receiver_url(self, host: str, url: str) -> str:
        """The webhook's URL through the line, at one of the receiver's hosts."""
        relay = next(relay for relay in self._relays["sender", "receiver"] if host in relay.hosts)
        return f"{relay.url_at(host)}{urlsplit(url).path}"

    def with_tls(self) -> Relay:
        """The one to those hosts of the receiver that have a certificate."""
        return self._relays["sender", "receiver"][-1]

    def between(self, role: str, server: Server) -> list[Relay]:
        """All lines that lead from parts of a role to a server."""
        return [
            relay
            for (part, other), relays in self._relays.items()
            if part.startswith(role) and other == server
            for relay in relays
        ]

    def ended(self, server: Server) -> int:
        """So many connections to a server have ended so far."""
        return sum(relay.ended for (_, to), relays in self._relays.items() if to == server for relay in relays)


@asynccontextmanager
async def open_lines(
    parts: Iterable[str], *, database: str, broker: str, receiver: str, tls: Tls | None = None
) -> AsyncIterator[Lines]:
    """Lines from each of the parts to the servers at these URLs."""
    async with AsyncExitStack() as stack:
        with_tls = tls.hosts if tls is not None else ()
        to_receiver = [Relay(receiver, [host for host in RECEIVER_HOSTS if host not in with_tls])]
        if tls is not None:
            to_receiver.append(Relay(receiver, tls.hosts, tls.context))
        relays: dict[Key, list[Relay]] = {
            ("sender", "receiver"): [await stack.enter_async_context(relay) for relay in to_receiver]
        }
        for part in parts:
            relays[part, "database"] = [await stack.enter_async_context(Relay(database))]
            nodes = [Relay(node) for node in rabbitmq_nodes(broker)]
            relays[part, "broker"] = [await stack.enter_async_context(node) for node in nodes]
        yield Lines(relays)


async def cut(relays: Iterable[Relay]) -> None:
    """Every connection is reset, and new ones are refused."""
    for relay in relays:
        await relay.cut()


async def restore(relays: Iterable[Relay]) -> None:
    """They work again."""
    for relay in relays:
        await relay.restore()


async def one_hears(relays: Iterable[Relay], words: bytes) -> None:
    """Returns as soon as somebody says `words` on one of them."""
    hearing = [asyncio.create_task(relay.hears(words)) for relay in relays]
    try:
        await asyncio.wait(hearing, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in hearing:
            task.cancel()
