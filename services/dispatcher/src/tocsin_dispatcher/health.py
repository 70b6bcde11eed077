"""ADAPTER. What this process says to those who watch over it: whether it lives, and whether it is ready.

It is alive while its event loop turns: a loop of Tocsin's own that fails ends the process. It is ready while
PostgreSQL and RabbitMQ answer it. Both are asked for over HTTP, by a thread that is not the event loop's.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import msgspec

from tocsin_common.database import CONNECTION_ERRORS
from tocsin_dispatcher.connections import Connections

POSTGRESQL_TIMEOUT_S = 2.0
TURN_TIMEOUT_S = 4.0  # less than what orchestrators wait

State = dict[str, str]


class Health:
    """Of the process whose event loop this is."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, turn_timeout_s: float = TURN_TIMEOUT_S) -> None:
        self._loop = loop
        self._turn_timeout_s = turn_timeout_s
        self.connections: Connections | None = None
        """None until there are any."""

    def beside(self, app: WSGIApplication) -> WSGIApplication:
        """Answers `/health/live` and `/health/ready`; the rest is left to `app`."""
        checks = {"/health/live": _live, "/health/ready": self._ready}

        def route(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            check = checks.get(environ.get("PATH_INFO", ""))
            if check is None:
                return app(environ, start_response)
            return _answer(self._ask(check()), start_response)

        return route

    def _ask(self, check: Coroutine[Any, Any, State]) -> State:
        asked = asyncio.run_coroutine_threadsafe(check, self._loop)
        try:
            return asked.result(self._turn_timeout_s)
        except TimeoutError:
            asked.cancel()
            return {"status": "stuck"}

    async def _ready(self) -> State:
        connections = self.connections
        if connections is None:
            return {"status": "unready", "postgresql": "away", "rabbitmq": "away"}
        is_connected = all(each.connected.is_set() for each in (connections.consuming, connections.publishing))
        has_answered = await _answers(connections)
        return {
            "status": "ready" if is_connected and has_answered else "unready",
            "postgresql": "ready" if has_answered else "away",
            "rabbitmq": "connected" if is_connected else "away",
        }


async def _live() -> State:
    return {"status": "alive"}


async def _answers(connections: Connections) -> bool:
    try:
        async with asyncio.timeout(POSTGRESQL_TIMEOUT_S):
            return bool(await connections.pool.fetchval("SELECT true"))
    except CONNECTION_ERRORS:
        return False


def _answer(state: State, start_response: StartResponse) -> Iterable[bytes]:
    status = HTTPStatus.OK if state["status"] in ("alive", "ready") else HTTPStatus.SERVICE_UNAVAILABLE
    start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
    return [msgspec.json.encode(state)]
