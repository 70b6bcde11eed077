"""PURE. Who may do what: the scopes of API keys, and the one scope that each route needs."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple, get_args
from uuid import UUID

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Each includes those before it."""

HEADER = "X-API-KEY"
BEARER = "Authorization"
CHALLENGE = 'Bearer realm="tocsin"'  # RFC 6750
_KEY_NAME, _BEARER_NAME = HEADER.lower().encode(), BEARER.lower().encode()
_TOKEN = re.compile(rb"bearer +(.*)", re.IGNORECASE)

NEEDED: Mapping[tuple[str, str], Scope | None] = {
    ("GET", "/api/tasks"): "read",
    ("POST", "/api/tasks"): "write",
    ("GET", "/api/tasks/dashboard/stats"): "read",
    ("GET", "/api/tasks/{task_id}"): "read",
    ("PATCH", "/api/tasks/{task_id}"): "write",
    ("DELETE", "/api/tasks/{task_id}"): "write",
    ("POST", "/api/tasks/{task_id}/toggle"): "write",
    ("POST", "/api/tasks/{task_id}/run"): "write",
    ("POST", "/api/tasks/{task_id}/test"): "write",
    ("GET", "/api/tasks/{task_id}/logs"): "read",
    ("GET", "/api/logs"): "read",
    ("GET", "/api/executions"): "read",
    ("GET", "/api/executions/{execution_id}"): "read",
    ("POST", "/api/executions/replay"): "write",
    ("GET", "/api/schedules/preview"): "read",
    ("GET", "/api/scheduler"): "read",
    ("POST", "/api/scheduler/pause"): "write",
    ("POST", "/api/scheduler/resume"): "write",
    ("GET", "/api/keys"): "admin",
    ("POST", "/api/keys"): "admin",
    ("DELETE", "/api/keys/{key_id}"): "admin",
    ("GET", "/api/docs"): None,
    ("GET", "/api/docs-json"): None,
    ("GET", "/api/docs/start.js"): None,
    ("GET", "/api/docs/swagger-ui.css"): None,
    ("GET", "/api/docs/swagger-ui-bundle.js"): None,
    ("GET", "/.well-known/security.txt"): None,
    ("GET", "/health/live"): None,
    ("GET", "/health/ready"): None,
}
"""By method and path. None: no key is needed."""


class Caller(NamedTuple):
    """Whose API key came with a request."""

    name: str
    """What logs and counters call it: the key's id, or API_KEY for the one of that setting."""
    scopes: frozenset[Scope]
    key_id: UUID | None = None


FIRST = Caller("API_KEY", frozenset(SCOPES))


def needed(method: str, path: str) -> Scope | None:
    """The scope that a route needs, None where it needs no key. What the table lacks is for administrators."""
    return None if method == "OPTIONS" else NEEDED.get((method, path), "admin")


def is_allowed(scopes: Collection[Scope], wanted: Scope) -> bool:
    """Whether one of the scopes is the wanted one, or includes it."""
    return any(scope in scopes for scope in SCOPES[SCOPES.index(wanted) :])


def given_keys(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """The API keys that came with a request, as X-API-KEY or as Authorization: Bearer; one, if all is well."""
    found = set()
    for name, value in headers:
        lowered = name.lower()
        if lowered == _KEY_NAME:
            found.add(value.strip())
        elif lowered == _BEARER_NAME and (token := _TOKEN.fullmatch(value.strip())):
            found.add(token[1].strip())
    return found - {b""}
