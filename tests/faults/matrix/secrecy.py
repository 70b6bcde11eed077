"""SHELL. I4: the canary is nowhere. Secrets are looked for in all that somebody could see of a run."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote, urlsplit

from canary import Search, Secret
from logins import as_service
from tocsin_local.urls import StackUrls

PASSWORD_PART = 12
STRIDE = 8
"""A run leaves tens of megabytes, and what would be seen is a whole URL, not a few characters of it."""
PIECE = 2**22
OVERLAP = 2**12
"""Longer than a secret is, however it is spelled."""
SERVICES = ("serve", "schedule", "send")


def hidden(tokens: Iterable[str], environment: Mapping[str, str], servers: StackUrls) -> list[Secret]:
    """What must not be seen: the webhooks' tokens, which are the canary, and what the processes are given."""
    urls = [servers.database_url, servers.rabbitmq_url]
    urls += [as_service(url, servers, service) for url in urls for service in SERVICES]
    passwords = {unquote(urlsplit(url).password or "") for url in urls}
    return [
        *(Secret("the token of a webhook", token) for token in tokens),
        *(Secret("a password", password, PASSWORD_PART) for password in sorted(passwords)),
        Secret("API_KEY", environment["API_KEY"]),
        Secret("SEALING_KEYS", environment["SEALING_KEYS"]),
    ]


async def problems(secrets: Iterable[Secret], places: Mapping[str, str]) -> list[str]:
    """Where a secret is seen."""
    search = Search(secrets)
    found = []
    for place, text in places.items():
        for piece in _pieces(text):
            seen = await asyncio.to_thread(search.find, piece, stride=STRIDE)
            found += [f"I4: {place}: {each}" for each in seen]
    return found


def unseen(places: Mapping[str, str]) -> list[str]:
    """Places where there was nothing at all to look at: nobody looked, or nothing was written down."""
    return [f"I4: nothing was seen of {place}" for place, text in places.items() if not text]


def _pieces(text: str) -> Iterator[str]:
    """The search makes several copies of what it looks at; what stands at a border is in both."""
    for begin in range(0, len(text), PIECE):
        yield text[begin : begin + PIECE + OVERLAP]
