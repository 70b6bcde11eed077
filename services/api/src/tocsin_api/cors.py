"""ADAPTER. Lets pages of allowed origins read the API's answers (CORS). Without a word from here, browsers do not.

Wraps what refuses requests as well: a page must be able to read why.
"""

import re
from collections.abc import Collection

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from tocsin_api.access import BEARER
from tocsin_api.access import HEADER as KEY_HEADER

ANY = "*"  # allows every origin: keys do not come by themselves, as cookies would
LOCAL = re.compile(r"https?://(?:(?:[\w-]+\.)*localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?", re.ASCII)
METHODS = "GET, POST, PATCH, DELETE"
READ = f"{KEY_HEADER}, {BEARER}, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-ID"
SHOWN = "ETag, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-ID"
PREFLIGHT_LASTS_S = 600


class Cors:
    """Answers preflights of allowed origins, and marks the answers that they may read."""

    def __init__(self, app: ASGIApp, origins: Collection[str], *, allow_local: bool) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._allow_local = allow_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        asked = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        allowed = self._allowed(asked.get(b"origin"))
        if allowed and scope["method"] == "OPTIONS" and b"access-control-request-method" in asked:
            await send({"type": "http.response.start", "status": 204, "headers": _preflight(allowed)})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await self._app(scope, receive, _marking(allowed, send))

    def _allowed(self, origin: str | None) -> str:
        """What the answer says is allowed; empty: nothing."""
        if origin is None:
            return ""
        if ANY in self._origins:
            return ANY
        is_local = self._allow_local and LOCAL.fullmatch(origin)
        return origin if is_local or origin.lower() in self._origins else ""


def _preflight(allowed: str) -> list[tuple[bytes, bytes]]:
    return _encoded(
        {
            "Access-Control-Allow-Origin": allowed,
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": READ,
            "Access-Control-Max-Age": str(PREFLIGHT_LASTS_S),
            "Vary": "Origin",
        }
    )


def _marking(allowed: str, send: Send) -> Send:
    marks = {"Access-Control-Allow-Origin": allowed, "Access-Control-Expose-Headers": SHOWN} if allowed else {}
    # Also where nothing is allowed: a cache must not show this answer to another origin.
    headers = _encoded({**marks, "Vary": "Origin"})

    async def send_marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *headers]
        await send(message)

    return send_marked


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
