"""Which scope a route needs, which scopes do, and which API keys a request has."""

import re
from pathlib import Path

import pytest

from tocsin_api.access import NEEDED, SCOPES, Scope, given_keys, is_allowed, needed

DOCUMENT = Path(__file__).parents[3] / "docs" / "api.md"


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ((), ()),
        (("read",), ("read",)),
        (("write",), ("read", "write")),
        (("admin",), ("read", "write", "admin")),
        (("read", "admin"), ("read", "write", "admin")),
    ],
)
def test_a_scope_includes_those_before_it(scopes: tuple[Scope, ...], allowed: tuple[Scope, ...]) -> None:
    assert tuple(wanted for wanted in SCOPES if is_allowed(scopes, wanted)) == allowed


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/api/tasks", "read"),
        ("POST", "/api/tasks", "write"),
        ("GET", "/api/keys", "admin"),
        ("GET", "/health/live", None),
        ("OPTIONS", "/api/tasks", None),
        ("PUT", "/api/tasks", "admin"),
        ("GET", "/api/new", "admin"),
        ("GET", "", "admin"),
    ],
)
def test_a_route_without_a_line_is_for_administrators(method: str, path: str, scope: Scope | None) -> None:
    assert needed(method, path) == scope


@pytest.mark.parametrize(
    ("headers", "keys"),
    [
        ([], set()),
        ([(b"x-api-key", b"")], set()),
        ([(b"x-api-key", b"abc")], {b"abc"}),
        ([(b"X-Api-Key", b" abc ")], {b"abc"}),
        ([(b"authorization", b"Bearer abc")], {b"abc"}),
        ([(b"authorization", b"bearer   abc ")], {b"abc"}),
        ([(b"authorization", b"BEARER a b")], {b"a b"}),
        ([(b"authorization", b"Bearer")], set()),
        ([(b"authorization", b"Bearer ")], set()),
        ([(b"authorization", b"Bearerabc")], set()),
        ([(b"authorization", b"Basic abc")], set()),
        ([(b"authorization", b"Basic abc"), (b"x-api-key", b"abc")], {b"abc"}),
        ([(b"authorization", b"Bearer abc"), (b"x-api-key", b"abc")], {b"abc"}),
        ([(b"authorization", b"Bearer abc"), (b"x-api-key", b"other")], {b"abc", b"other"}),
        ([(b"x-api-key", b"abc"), (b"x-api-key", b"other")], {b"abc", b"other"}),
        ([(b"x-api-key", "ключ".encode())], {"ключ".encode()}),
    ],
)
def test_a_key_comes_in_one_of_two_headers(headers: list[tuple[bytes, bytes]], keys: set[bytes]) -> None:
    assert given_keys(headers) == keys


def test_the_document_tells_of_each_route_which_scope_it_needs() -> None:
    lines = re.findall(r"^\| (?:`(read|write|admin)`|none) \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE)

    told = {route: scope or None for scope, text in lines for route in re.findall(r"`([A-Z]+ /[^`]+)`", text)}

    assert told == {
        f"{method} {re.sub('{.*}', '{id}', path)}": scope
        for (method, path), scope in NEEDED.items()
        if not path.startswith("/api/docs/")
    }
