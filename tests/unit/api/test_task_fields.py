"""The rules of a task's fields."""

from typing import Any

import pytest
from msgspec import Raw

from tocsin_api.task_fields import checks, parser
from tocsin_common.errors import TocsinError
from tocsin_common.settings import ApiSettings

URL = "https://discord.com/api/webhooks/123/token"
SETTINGS = ApiSettings(
    database_url="postgresql://x",
    rabbitmq_url="amqp://x",
    sealing_keys="x",
    api_key="a key of some length",
    allowed_webhook_hosts="hooks.example.com, Other.example.org",
)


def check(field: str, value: Any, *, allow_masked: bool = False) -> Any:
    return checks(parser(SETTINGS), allow_masked=allow_masked)[field](value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("x", "x"),
        ("  padded\t", "padded"),
        ("n" * 100, "n" * 100),
        (f" {'n' * 100} ", "n" * 100),
        ("Ñandú 🔔", "Ñandú 🔔"),
    ],
)
def test_name_is_trimmed(given: str, kept: str) -> None:
    assert check("name", given) == kept


@pytest.mark.parametrize("name", ["", "   ", "n" * 101, "a\0b", "line\nbreak", "\x1b[31mred", "next\x85line"])
def test_name_that_is_empty_long_or_holds_control_characters_is_refused(name: str) -> None:
    with pytest.raises(TocsinError):
        check("name", name)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("*/5 * * * *", "*/5 * * * *"), ("  0  12 * *  MON ", "0 12 * * MON"), ("@daily", "@daily")],
)
def test_schedule_has_one_spelling(given: str, kept: str) -> None:
    assert check("schedule", given) == kept


@pytest.mark.parametrize("schedule", ["", "* * * *", "60 * * * *", "0 0 30 2 *", "@sometimes", "* * * * *\0"])
def test_schedule_that_is_none_is_refused(schedule: str) -> None:
    with pytest.raises(TocsinError):
        check("schedule", schedule)


@pytest.mark.parametrize("url", [URL, "https://hooks.example.com/x", "https://other.example.org/y"])
def test_webhook_url_of_an_allowed_host_is_accepted(url: str) -> None:
    assert check("webhook_url", url) == url


@pytest.mark.parametrize(
    "url", ["", "x", "http://discord.com/api/webhooks/123/token", "https://evil.example/x", "http://127.0.0.1/x"]
)
def test_other_webhook_url_is_refused(url: str) -> None:
    with pytest.raises(TocsinError):
        check("webhook_url", url)


def test_masked_webhook_url_is_allowed_in_a_change_only() -> None:
    masked = "https://discord.com/api/webhooks/123/…oken"

    assert check("webhook_url", masked, allow_masked=True) == masked
    with pytest.raises(TocsinError):
        check("webhook_url", masked)


def nested(levels: int) -> bytes:
    return b'{"a":' + b"[" * (levels - 2) + b"1" + b"]" * (levels - 2) + b"}"


@pytest.mark.parametrize(
    "payload",
    [b'{"content": "hi"}', b'{"b": 1, "a": [1.50, null, {"c": true}]}', b'{"a": "\\ud83d\\udd14"}', nested(32)],
)
def test_payload_is_kept_byte_for_byte(payload: bytes) -> None:
    assert bytes(check("payload", Raw(payload))) == payload


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
        check("payload", Raw(payload))
