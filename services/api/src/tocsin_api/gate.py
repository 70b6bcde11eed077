"""ADAPTER. What every request passes before it is routed: whose API key does it have?

Wraps the whole application, since what matches no route counts as well. What the key allows is `auth`'s to say.
"""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

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
            await _admit(scope, scope["litestar_app"].state.resources)
        except Exception as error:  # the edge of what Litestar would answer itself
            await problems.refuse(error, scope, receive, send)
            return
        await self._app(scope, receive, send)


async def _admit(scope: Scope, resources: Resources) -> None:
    keys = given_keys(scope["headers"])
    scope["state"]["keys_given"] = len(keys)
    if len(keys) == 1:
        scope["state"]["caller"] = await resources.key_ring.find(keys.pop())
