"""ADAPTER. Requests over HTTP/1.1, each connection's next one as soon as the last is answered.

It parses no more of an answer than it needs: the load runs on the cores of what is measured.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tocsin_local.errors import StackError

END_OF_HEAD = b"\r\n\r\n"
TIMEOUT_S = 120.0  # for a whole load


class Target(NamedTuple):
    """Where requests go, and what each of them says."""

    port: int
    headers: tuple[tuple[str, str], ...] = ()

    def get(self, path: str) -> bytes:
        """A GET as it is sent."""
        return self._request("GET", path, b"")

    def post(self, path: str, body: bytes) -> bytes:
        """A POST of JSON as it is sent."""
        length = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        return self._request("POST", path, body, *length)

    def _request(self, method: str, path: str, body: bytes, *more: str) -> bytes:
        lines = (f"{method} {path} HTTP/1.1", "Host: bench", *(f"{name}: {value}" for name, value in self.headers))
        return "\r\n".join([*lines, *more, "", ""]).encode() + body


class Answered(NamedTuple):
    """What became of a load."""

    times_ms: list[float]
    """How long each answer took, in the order in which they came."""
    seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.times_ms) / self.seconds


def for_seconds(requests: Iterator[bytes], seconds: float) -> Iterator[bytes]:
    """Requests, from the first one on for so long."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        yield next(requests)


async def send(target: Target, requests: Iterable[bytes], connections: int = 1) -> Answered:
    """Send them all; StackError where an answer is no success, or none comes."""
    source, times_ms = iter(requests), list[float]()
    begin = time.perf_counter()
    try:
        async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(_Connection(source, times_ms).run(target.port))
    except TimeoutError:
        raise StackError(f"A load was not done after {TIMEOUT_S:.0f} s.") from None
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return Answered(times_ms, time.perf_counter() - begin)


class _Connection(asyncio.Protocol):
    def __init__(self, source: Iterator[bytes], times_ms: list[float]) -> None:
        self._source = source
        self._times_ms = times_ms
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answer = b""
        self._sent_at = 0.0

    async def run(self, port: int) -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", port)
        try:
            await self._done
        finally:
            transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(END_OF_HEAD)
        if not end or len(body) < _length(head):
            return
        self._times_ms.append((time.perf_counter() - self._sent_at) * 1000)
        if not head.startswith(b"HTTP/1.1 2"):
            self._fail(f"{head.partition(END_OF_HEAD[:2])[0].decode()}: {body.decode()}")
            return
        self._answer = b""
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the connection was closed ({error})")

    def _send(self) -> None:
        request = next(self._source, None)
        if request is None:
            self._done.set_result(None)
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def _fail(self, what: str) -> None:
        if not self._done.done():
            self._done.set_exception(StackError(f"A request has failed: {what}"))


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise StackError(f"An answer does not say how long it is: {head!r}")
