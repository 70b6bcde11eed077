"""A sender's POSTs, from the sealed URL to the attempt, on the event loop that it runs on."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import pytest
import uvloop

from canary import Search, Secret
from certificates import Authority
from tocsin_common import http
from tocsin_common.messages import Job
from tocsin_common.resolver import Resolver
from tocsin_common.sealing import Sealer
from tocsin_dispatcher.clock import DatabaseClock, boottime
from tocsin_dispatcher.sender.claim import Grant
from tocsin_dispatcher.sender.post import Attempt, Poster

from .receiver import WAIT_S, RawReceiver

TOKEN = "kT7-vR2_mW9xQ4zL8nB3cF6hJ1dG5sA0pY-eU_iO2wXrNtVqZbMlKjHg4f7D9s3a1Q"  # noqa: S105 - nobody's
PATH = f"/api/webhooks/123456789012345678/{TOKEN}"
TASK_ID = UUID("0190c3f4-7a2b-7c1d-8e3f-0123456789ab")
SCHEDULED_FOR = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAYLOAD = '{"content": "hello"}'
USER_AGENT = "DiscordBot (https://tocsin.example, 1.2.3)"


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Strangers are met on the loop that a sender runs on: asyncio's own reads and fails in ways of its own."""
    return {"uvloop": uvloop.new_event_loop}


class Posting:
    """Posts as a sender does."""

    def __init__(self, poster: Poster, session: aiohttp.ClientSession, sealer: Sealer) -> None:
        self._poster = poster
        self._sealer = sealer
        self.session = session

    async def __call__(self, url: str, payload: str = PAYLOAD) -> Attempt:
        """One attempt at this URL."""
        sealed = self._sealer.seal(url, context=TASK_ID.bytes)
        job = Job(TASK_ID, SCHEDULED_FOR, "as its claim says")
        grant = Grant(job, 1, 0, 3, sealed, b"", payload, boottime() + 3600, 0)
        async with asyncio.timeout(WAIT_S):
            attempt = await self._poster.post(grant)
        assert isinstance(attempt, Attempt)
        return attempt


@asynccontextmanager
async def posting(
    *,
    timeout_s: float = WAIT_S,
    hosts: Collection[str] = (),
    allow_local: bool = True,
    **client: Any,
) -> AsyncIterator[Posting]:
    """A sender's HTTP client and what posts with it. `hosts` are allowed; `client` is how its session differs."""
    clock, sealer = DatabaseClock(), Sealer([bytes(range(32))])
    clock.sample(datetime.now(UTC))

    session = http.open_session(allow_local=allow_local, user_agent=USER_AGENT, connections=50, **client)
    async with session:
        poster = Poster(session, sealer, clock, timeout_s=timeout_s, allowed_hosts=hosts, allow_local=allow_local)
        yield Posting(poster, session, sealer)


def local(receiver: RawReceiver, path: str = PATH) -> str:
    """The URL of a receiver on loopback."""
    return f"http://127.0.0.1:{receiver.port}{path}"


def found(address: str, port: int) -> tuple[Any, ...]:
    """One address of a name, as `socket.getaddrinfo` has it."""
    is_ipv6 = ":" in address
    family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
    return (
        family,
        socket.SOCK_STREAM,
        socket.IPPROTO_TCP,
        "",
        (address, port, 0, 0) if is_ipv6 else (address, port),
    )


def leading_to(*places: tuple[str, int]) -> Resolver:
    """A resolver that knows these addresses and ports, for whatever name."""
    return Resolver(lambda *_: [found(*place) for place in places])


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def nothing_is_told(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever a receiver does: the log shows no secret, no alarm and no crash."""
    caplog.set_level(logging.DEBUG)
    yield
    told = "".join([caplog.text, *capfd.readouterr()])
    assert Search([Secret("token", TOKEN)]).find(told) == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert "post.crashed" not in told
