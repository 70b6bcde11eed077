"""The guarded HTTP client, over real sockets."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from tocsin_common.http import (
    MAX_ANSWER_BYTES,
    RECEIVE_BUFFER_BYTES,
    ForbiddenAddressError,
    open_session,
    read_some,
)

WAIT_S = 5


class Server:
    """A web server on loopback, of both families, that counts who connects."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.requests: list[web.BaseRequest] = []
        self.client_left = asyncio.Event()
        self._answers: dict[str, web.StreamResponse] = {}
        self._server = web.Server(self._answer, access_log=None)

    async def __aenter__(self) -> "Server":
        loop = asyncio.get_running_loop()
        self._listeners = [await loop.create_server(self._connected, "127.0.0.1", 0)]
        self.port = self._listeners[0].sockets[0].getsockname()[1]
        self._listeners.append(await loop.create_server(self._connected, "::1", self.port))
        return self

    async def __aexit__(self, *_: object) -> None:
        for listener in self._listeners:
            listener.close()
        await self._server.shutdown(timeout=0.01)

    def url(self, host: str = "127.0.0.1", path: str = "/") -> str:
        return f"http://{host}:{self.port}{path}"

    def _connected(self) -> asyncio.Protocol:
        self.connections += 1
        return self._server()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        kind, _, size = request.path.strip("/").partition("/")
        if kind == "bytes":
            return web.Response(body=b"x" * int(size))
        if kind == "chunks":
            return await self._stream(request, [b"abc"] * int(size))
        if kind == "endless":
            return await self._stream(request, iter(lambda: b"x" * 16_384, None))
        if kind in ("breaks-off", "stops"):
            return await self._begin(request, then_stop=kind == "stops")
        if kind == "gzip":
            return web.Response(body=gzip.compress(b"0" * 10_000_000), headers={"Content-Encoding": "gzip"})
        if kind == "redirect":
            return web.Response(status=307, headers={"Location": f"http://10.0.0.1:{self.port}/"})
        return web.Response(body=b"hello", headers={"Set-Cookie": "seen=1"})

    async def _stream(self, request: web.BaseRequest, chunks: object) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for chunk in chunks:  # type: ignore[attr-defined]  # an iterable, by the parameter
                await response.write(chunk)
        except (ConnectionError, asyncio.CancelledError):
            self.client_left.set()
            raise
        return response

    async def _begin(self, request: web.BaseRequest, *, then_stop: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "5"})
        await response.prepare(request)
        await response.write(b"hel")
        if then_stop:
            await asyncio.Event().wait()
        request.transport.close()
        return response


def session(*, allow_local: bool) -> aiohttp.ClientSession:
    return open_session(allow_local=allow_local, user_agent="DiscordBot (test, 1)", connections=5)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as server:
        yield server


@pytest.fixture
async def guarded() -> AsyncIterator[aiohttp.ClientSession]:
    async with session(allow_local=False) as client:
        yield client


@pytest.fixture
async def local() -> AsyncIterator[aiohttp.ClientSession]:
    async with session(allow_local=True) as client:
        yield client


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.9.9.9",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "\uff11\uff12\uff17.\uff10.\uff10.\uff11",  # full-width digits
        "0x7f000001",
        "0.0.0.0",  # noqa: S104 - Linux connects it to loopback
        "[::]",
    ],
)
async def test_no_spelling_of_loopback_gets_past_the_guard(host, guarded, server):
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        await guarded.post(server.url(host), data=b"hello", timeout=aiohttp.ClientTimeout(total=WAIT_S))

    assert isinstance(caught.value.os_error, ForbiddenAddressError)
    assert server.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0177.0.0.1", "0"])
async def test_a_number_is_no_host(host, guarded, server):
    with pytest.raises(aiohttp.ClientError):
        await guarded.post(server.url(host), data=b"hello", timeout=aiohttp.ClientTimeout(total=WAIT_S))

    assert server.connections == 0


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "[fe80::1]", "[fd00::1]"]
)
@pytest.mark.parametrize("allow_local", [False, True])
async def test_private_addresses_are_refused_even_where_loopback_is_allowed(address, allow_local):
    async with session(allow_local=allow_local) as client:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await client.get(f"http://{address}/", timeout=aiohttp.ClientTimeout(total=WAIT_S))

    assert isinstance(caught.value.os_error, ForbiddenAddressError)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_a_local_server_is_reached_where_that_is_allowed(host, local, server):
    async with local.post(server.url(host), data=b"hello") as response:
        body = await read_some(response)

    assert (response.status, body) == (200, (b"hello", False))
    assert server.connections == 1


async def test_a_redirect_to_a_forbidden_address_is_not_followed(local, server):
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        await local.get(server.url(path="/redirect"), timeout=aiohttp.ClientTimeout(total=WAIT_S))

    assert isinstance(caught.value.os_error, ForbiddenAddressError)
    assert len(server.requests) == 1


async def test_a_proxy_of_the_environment_is_not_used(local, server, monkeypatch):
    async with Server() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())

        async with local.get(server.url()) as response:
            await read_some(response)

    assert (len(server.requests), proxy.connections) == (1, 0)


async def test_a_request_says_who_sends_it_and_wants_no_compression(local, server):
    async with local.get(server.url()) as response:
        await read_some(response)

    (request,) = server.requests
    assert request.headers["User-Agent"] == "DiscordBot (test, 1)"
    assert request.headers["Accept-Encoding"] == "identity"


async def test_cookies_are_not_kept(local, server):
    for _ in range(2):
        async with local.get(server.url("localhost")) as response:
            await read_some(response)

    assert "Set-Cookie" in response.headers
    assert not any("Cookie" in request.headers for request in server.requests)


@pytest.mark.parametrize("size", [0, 1, MAX_ANSWER_BYTES - 1, MAX_ANSWER_BYTES])
async def test_a_short_answer_is_read_whole(size, local, server):
    async with local.get(server.url(path=f"/bytes/{size}")) as response:
        body = await read_some(response)

    assert (len(body.data), body.is_cut) == (size, False)


async def test_an_answer_in_small_pieces_is_read_whole(local, server):
    async with local.get(server.url(path="/chunks/100")) as response:
        body = await read_some(response)

    assert body == (b"abc" * 100, False)


async def test_a_longer_answer_is_cut(local, server):
    async with local.get(server.url(path=f"/bytes/{MAX_ANSWER_BYTES + 1}")) as response:
        body = await read_some(response)

    assert (len(body.data), body.is_cut) == (MAX_ANSWER_BYTES, True)


async def test_an_endless_answer_is_cut_and_its_connection_closed(local, server):
    async with asyncio.timeout(WAIT_S):
        async with local.get(server.url(path="/endless")) as response:
            body = await read_some(response)
        await server.client_left.wait()

    assert body == (b"x" * MAX_ANSWER_BYTES, True)


async def test_an_answer_that_breaks_off_is_read_up_to_there(local, server):
    async with local.get(server.url(path="/breaks-off")) as response:
        body = await read_some(response)

    assert body == (b"hel", True)


async def test_an_answer_that_does_not_end_in_time_is_read_up_to_then(local, server):
    timeout = aiohttp.ClientTimeout(total=1)

    async with local.get(server.url(path="/stops"), timeout=timeout) as response:
        body = await read_some(response)

    assert body == (b"hel", True)


async def test_the_kernel_keeps_little_of_what_is_not_read_yet(local, server):
    async with local.get(server.url(path="/endless")) as response:
        kernel = response.connection.transport.get_extra_info("socket")

        kept = kernel.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    assert kept <= 2 * RECEIVE_BUFFER_BYTES  # Linux doubles it for what it needs itself


async def test_a_connection_is_used_again_after_a_short_answer_only(local, server):
    for path in ("/bytes/10", "/bytes/10", "/endless", "/bytes/10"):
        async with local.get(server.url(path=path)) as response:
            await read_some(response)

    assert server.connections == 2


async def test_a_compressed_answer_stays_compressed(local, server):
    async with local.get(server.url(path="/gzip")) as response:
        body = await read_some(response)

    assert body.data.startswith(b"\x1f\x8b")
    assert len(gzip.decompress(body.data)) == 10_000_000
    assert len(body.data) < 20_000
