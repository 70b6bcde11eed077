"""ADAPTER. Gives each request an id and writes its one line in the log.

Paths are logged as their templates and query strings not at all, so nothing that a client sends gets there.
"""

import re
import time
from uuid import uuid4

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from tocsin_api import metrics

HEADER = b"x-request-id"
_SANE = re.compile(rb"[A-Za-z0-9._-]{8,64}")

_log = structlog.get_logger(__name__)


class RequestLog:
    """Wraps the whole application: Litestar's own middlewares do not see what matches no route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope["state"]["request_id"] = request_id
        status = 500
        started = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (HEADER, request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                duration_s = time.perf_counter() - started
                route = scope.get("path_template") or "unknown"
                metrics.count_request(str(scope.get("method")), route, status, duration_s)
                _log.info(
                    "request.finished",
                    method=scope.get("method"),
                    path=route,
                    status=status,
                    api_key=getattr(scope["state"].get("caller"), "name", None),
                    duration_ms=round(duration_s * 1000, 2),
                )


def _request_id(scope: Scope) -> str:
    """What the client sent, where that is fit for a log, else a new one."""
    given = next((value for name, value in scope["headers"] if name.lower() == HEADER), b"")
    return given.decode() if _SANE.fullmatch(given) else uuid4().hex
