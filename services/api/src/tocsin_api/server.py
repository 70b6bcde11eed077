"""ADAPTER. Serves the application with granian, in this process and on one event loop.

One process means that what supervises it sees it end, and that killing it leaves no worker behind.
"""

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

import structlog
import uvloop
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server
from litestar import Litestar

from tocsin_common.errors import TocsinError
from tocsin_common.settings import ApiSettings

DRAIN_TIMEOUT_S = 3  # after a signal, requests under way have so long to finish

_log = structlog.get_logger(__name__)


class ServerError(TocsinError):
    """The server cannot listen, or stopped without being asked to."""


def run(app: Litestar, settings: ApiSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises UnavailableError or ServerError."""
    _check_address(settings)
    with suppress(asyncio.CancelledError):  # a signal that came before the server listened
        uvloop.run(_run(app, settings))
    _log.info("api.stopped")


async def _run(app: Litestar, settings: ApiSettings) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker: this is a coroutine
    _on_signal(task.cancel)
    async with app.lifespan():
        server = _server(app, settings)
        _on_signal(app.state.resources.stopping.set, server.stop)
        server.on_startup(lambda: _log.info("api.started", host=settings.host, port=settings.port))
        try:
            await server.serve()
        except TimeoutError:
            _log.warning("api.drain_cut_short", timeout_s=DRAIN_TIMEOUT_S)
        if server.interrupt_children:
            raise ServerError("the server stopped by itself")


def _on_signal(*handlers: Callable[[], object]) -> None:
    def handle() -> None:
        for handler in handlers:
            handler()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, handle)


def _check_address(settings: ApiSettings) -> None:
    """granian listens with SO_REUSEPORT: it would share the port with a server that was left running."""
    try:
        socket.create_server((settings.host, settings.port), family=_family(settings.host)).close()
    except OSError as error:
        # Python goes on with the address; whoever took the wrong variable wrote a secret there.
        reason = str(error.strerror).partition(" (while ")[0]
        raise ServerError(f"cannot listen on HOST and PORT: {reason}") from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _server(app: Litestar, settings: ApiSettings) -> Server:
    server = Server(
        app,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,  # the lifespan is entered above, so its errors are ours to report
        websockets=False,
        log_access=False,  # its lines would hold query strings; request.finished takes their place
        log_level=LogLevels.error,
        log_dictconfig={"loggers": {"_granian": {"handlers": [], "propagate": True}}},
    )
    # Without it an answer that never ends would hold up the stop for ever.
    server.workers_kill_timeout = DRAIN_TIMEOUT_S
    return server
