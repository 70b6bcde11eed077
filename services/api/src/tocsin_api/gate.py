"""ADAPTER. What every request passes before it is routed: whose API key does it have, and does it come too often?

Wraps the whole application, since what matches no route counts as well. What the key allows is `auth`'s to say.
"""

from collections.abc import Mapping

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from tocsin_api import problems
from tocsin_api.access import given_keys
from tocsin_api.resources import Resources

HEALTH = "/health/"  # is asked for every few seconds, by those who were given no key


class Gate:
    """Notes in the scope's state: `caller`, who has the key, and `keys_given`, how many different ones came."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or answer it."""
        if scope["type"] != ScopeType.HTTP or scope["path"].startswith(HEALTH):
            await self._app(scope, receive, send)
            return
        try:
            headers = await _admit(scope, scope["litestar_app"].state.resources)
        except Exception as error:  # the edge of what Litestar would answer itself
            await problems.refuse(error, scope, receive, send)
            return
        await self._app(scope, receive, _adding(headers, send))


async def _admit(scope: Scope, resources: Resources) -> Mapping[str, str]:
    """What the answer says about limits."""
    keys = given_keys(scope["headers"])
    scope["state"]["keys_given"] = len(keys)
    caller = await resources.key_ring.find(keys.pop()) if len(keys) == 1 else None
    scope["state"]["caller"] = caller
    peer = scope["client"][0] if scope["client"] else ""
    return await resources.limiter.admit(caller, peer, scope["headers"])


def _adding(headers: Mapping[str, str], send: Send) -> Send:
    if not headers:
        return send
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *encoded]
        await send(message)

    return send_with_headers
