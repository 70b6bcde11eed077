"""What may be said about an API key, and what is shown of one."""

import secrets
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_api.api_key_fields import CHECKS, PREFIX, SECRET_BYTES, NewApiKey, hint, looks_like_a_key
from tocsin_api.errors import InvalidInputError
from tocsin_api.inputs import read_body


def read(**body: Any) -> NewApiKey:
    return read_body("application/json", msgspec.json.encode(body), NewApiKey, CHECKS)


def test_scopes_are_put_in_order() -> None:
    assert read(name=" n ", scopes=["admin", "read"]) == NewApiKey(name="n", scopes=["read", "admin"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 101),
        ("name", None),
        ("scopes", []),
        ("scopes", None),
        ("scopes", "read"),
        ("scopes", ["read", "read"]),
        ("scopes", ["root"]),
        ("scopes", ["READ"]),
        ("expiresAt", "2030-01-31"),
        ("expiresAt", "2030-01-31T00:00:00"),
        ("expiresAt", "9999-01-31T00:00:00Z"),
        ("expiresAt", 1),
        ("key", "mine"),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(**{"name": "n", "scopes": ["read"], field: value})

    assert [each.field for each in caught.value.violations] == [field]


def test_new_key_looks_like_one_and_its_hint_gives_four_characters_away() -> None:
    key = PREFIX + secrets.token_urlsafe(SECRET_BYTES)

    assert looks_like_a_key(key.encode())
    assert hint(key) == f"tocsin_…{key[-4:]}"


@given(st.binary(max_size=60))
def test_what_is_no_key_does_not_look_like_one(text: bytes) -> None:
    assert not looks_like_a_key(text)
    assert not looks_like_a_key(PREFIX.encode() + text[:42])
