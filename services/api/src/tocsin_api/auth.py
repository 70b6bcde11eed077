"""ADAPTER. Who may use the API: whoever sends its key in the header X-API-KEY."""

import hashlib
import hmac
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from tocsin_api.errors import UnauthorizedError

HEADER = "X-API-KEY"


def guard(api_key: str) -> Guard:
    """Refuses every request without the key, but for handlers that say `opt={"public": True}`."""
    expected = hashlib.sha256(api_key.encode()).digest()

    def require_key(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if handler.opt.get("public"):
            return
        # Litestar reads headers as Latin-1; encoded so, they are the bytes that were sent.
        given = connection.headers.get(HEADER, "").encode("latin-1")
        # Digests have one length, so the time of the comparison tells nothing about the key.
        if not hmac.compare_digest(hashlib.sha256(given).digest(), expected):
            raise UnauthorizedError(f"send the API key in the header {HEADER}")

    return require_key
