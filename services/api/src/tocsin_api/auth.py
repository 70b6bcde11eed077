"""ADAPTER. Whether a request may go where it wants to: its API key must have the scope that the route needs."""

from typing import Any

from litestar import Request

from tocsin_api import access
from tocsin_api.errors import ForbiddenError, UnauthorizedError


def check(request: Request[Any, Any, Any]) -> None:
    """Raises UnauthorizedError without a valid key, ForbiddenError where its scopes do not do. See Gate."""
    scope: Any = request.scope  # of HTTP: there are no others
    wanted = access.needed(scope["method"], scope["path_template"])
    if wanted is None:
        return
    caller: access.Caller | None = scope["state"].get("caller")
    if caller is None:
        raise UnauthorizedError(keys_given=scope["state"].get("keys_given", 0))
    if not access.is_allowed(caller.scopes, wanted):
        raise ForbiddenError(wanted)
