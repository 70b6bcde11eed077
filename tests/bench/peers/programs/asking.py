"""ADAPTER. POSTs of asyncio programs, by aiohttp."""

import os

import aiohttp
from bells import TIMEOUT_S, headers

IN_FLIGHT = int(os.environ["IN_FLIGHT"])
IDLE_S = 3600  # longer than any pause of the bench: connections are kept from one burst to the next


def session() -> aiohttp.ClientSession:
    """What a process has once."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=IN_FLIGHT, keepalive_timeout=IDLE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        # Of a POST itself: in a burst thousands wait for a connection, and that is no failure of theirs.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S, sock_read=TIMEOUT_S),
    )


async def post(client: aiohttp.ClientSession, bell_id: str, url: str, body: str) -> None:
    """One POST; an exception where it does not succeed."""
    async with client.post(url, data=body, headers=headers(bell_id), raise_for_status=True) as answer:
        await answer.read()
