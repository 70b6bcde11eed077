"""Keys of requests that may be sent again."""

import pytest

from tocsin_api.errors import InvalidInputError, KeyReusedError
from tocsin_api.idempotency import RequestKey, check_same_request, read_key


def key_of(*headers: str, method: str = "POST", path: str = "/x", body: bytes = b"") -> RequestKey | None:
    return read_key(headers, "run", method, path, body)


@pytest.mark.parametrize(
    "header",
    [
        "8e03978e-40d5-43dd-bc93-6894a57f9324", "a", "k" * 255, 'a"b', "a,b", '"8e03978e"', '"two words"',
        r'"a\"b\\c"', f'"{"k" * 255}"',
    ],
)  # fmt: skip
def test_key_is_read_quoted_or_bare(header: str) -> None:
    key = key_of(header)

    assert key is not None
    assert key.scope == "run"


@pytest.mark.parametrize(
    ("quoted", "bare"), [('"8e03978e"', "8e03978e"), (r'"a\"b\\c"', 'a"b\\c'), (f'"{"k" * 255}"', "k" * 255)]
)
def test_quoted_key_is_the_one_that_it_quotes(quoted: str, bare: str) -> None:
    assert key_of(quoted) == key_of(bare)


def test_keys_of_different_texts_are_apart() -> None:
    keys = [key_of(header) for header in ("a", "A", "a,", '"a "', "b")]

    assert len(set(keys)) == len(keys)


def test_key_itself_is_not_kept() -> None:
    assert "a-secret-by-mistake" not in repr(key_of("a-secret-by-mistake"))


def test_request_without_the_header_has_no_key() -> None:
    assert key_of() is None


@pytest.mark.parametrize(
    "header",
    [
        "", '""', '"', '"open', 'closed"x y', '"a"b"', r'"a\b"', "two words", " a", "tab\t", "é", '"é"', "a\x7f",
        "k" * 256, f'"{"k" * 256}"',
    ],
)  # fmt: skip
def test_key_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^Idempotency-Key: must be 1 to 255"):
        key_of(header)


def test_two_keys_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="once only"):
        key_of("a", "b")


def test_same_request_is_known_again() -> None:
    first, second = key_of("k", body=b"{}"), key_of('"k"', body=b"{}")

    assert first is not None
    assert second == first
    check_same_request(first, first.request_hash)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/x", b"{ }"),
        ("POST", "/y", b"{}"),
        ("PUT", "/x", b"{}"),
        ("POST", "/x{", b"}"),
        ("POST", "/x", b""),
    ],
)
def test_another_request_with_the_same_key_is_refused(method: str, path: str, body: bytes) -> None:
    first, second = key_of("k", body=b"{}"), key_of("k", method=method, path=path, body=body)

    assert first is not None
    assert second is not None
    with pytest.raises(KeyReusedError):
        check_same_request(second, first.request_hash)
