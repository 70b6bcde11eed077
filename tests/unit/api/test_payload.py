"""What a payload may be."""

import pytest
from msgspec import Raw

from tocsin_api.payload import check_payload
from tocsin_common.errors import TocsinError


def nested(levels: int) -> bytes:
    return b'{"a":' + b"[" * (levels - 2) + b"1" + b"]" * (levels - 2) + b"}"


@pytest.mark.parametrize(
    "payload",
    [b'{"content": "hi"}', b'{"b": 1, "a": [1.50, null, {"c": true}]}', b'{"a": "\\ud83d\\udd14"}', nested(32)],
)
def test_payload_is_kept_byte_for_byte(payload: bytes) -> None:
    assert bytes(check_payload(Raw(payload))) == payload


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{}", "not empty"),
        (b"[]", "JSON object"),
        (b'"text"', "JSON object"),
        (b"null", "JSON object"),
        (b'{"a": "x\\u0000"}', "NUL"),
        (b'{"a": [{"b\\u0000": 1}]}', "NUL"),
        (b'{"a": "\\ud800\\ud800"}', "cannot be read"),
        (b'{"a": 1e999}', "cannot be read"),
        (nested(33), "deeper than 32"),
        (nested(900), "deeper than 32"),
        (nested(50_000), "deeper than 32"),
        (b'{"a": "' + b"x" * 262_144 + b'"}', "at most 262144"),
    ],
)
def test_payload_that_cannot_be_posted_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(TocsinError, match=reason):
        check_payload(Raw(payload))
