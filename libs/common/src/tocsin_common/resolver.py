"""ADAPTER. Looks names up, each on a thread of its own.

Event loops have threads for that, but few: uvloop has two. A name server that is silent keeps one for 10 s or
more, so two such names would keep a process from every other name, and from ending. aiohttp looks a name up once
at a time, whoever asks for it meanwhile: there are never more threads than names.
"""

import asyncio
import errno
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult


class Resolver(AbstractResolver):
    """For the guarded HTTP client."""

    def __init__(self, look_up: Callable[..., list[Any]] = socket.getaddrinfo) -> None:
        self._look_up = look_up

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`; OSError where there are none, with its errno where this machine is short."""
        found: Future[list[Any]] = Future()
        found.set_running_or_notify_cancel()  # whoever asked may go away, the thread cannot be stopped

        def look_up() -> None:
            try:
                found.set_result(self._look_up(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG))
            except (OSError, UnicodeError) as error:  # the second for what cannot be a name
                found.set_exception(_told(error))

        try:
            # As a daemon it keeps no process from ending.
            threading.Thread(target=look_up, name="look-up", daemon=True).start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, "no thread could be started") from error  # as pthread_create(3) says it
        return [_result(host, info) for info in await asyncio.wrap_future(found)]

    async def close(self) -> None:
        """There is nothing to close."""


def _told(error: OSError | UnicodeError) -> OSError:
    if not isinstance(error, OSError):
        return OSError("not a name")
    is_short = isinstance(error, socket.gaierror) and error.errno == socket.EAI_MEMORY
    return OSError(errno.ENOMEM, "no memory") if is_short else error


def _result(host: str, info: tuple[Any, ...]) -> ResolveResult:
    family, _, protocol, _, address = info
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(
        hostname=host, host=address[0], port=address[1], family=family, proto=protocol, flags=flags
    )
