"""What Discord's answer says of a webhook."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_api.verification import Dead, Unknown, judge


@pytest.mark.parametrize(
    ("status", "headers", "body", "finding"),
    [
        (200, {}, b'{"id": "1", "type": 1}', None),
        (200, {}, b'{"id": ', None),
        (404, {}, b'{"message": "Unknown Webhook", "code": 10015}', Dead("HTTP 404, code 10015")),
        (401, {}, b'{"message": "Invalid Webhook Token", "code": 50027}', Dead("HTTP 401, code 50027")),
        (400, {}, b'{"message": "Invalid Form Body", "code": 50035}', Dead("HTTP 400, code 50035")),
        (404, {}, b"<html>not found</html>", Unknown("HTTP 404")),
        (404, {}, b'{"code": "10015"}', Unknown("HTTP 404")),
        (404, {}, b'{"code": true}', Unknown("HTTP 404")),
        (404, {}, b"[10015]", Unknown("HTTP 404")),
        (403, {}, b"error code: 1015", Unknown("HTTP 403")),
        (429, {"retry-after": "7.2"}, b'{"retry_after": 7.2, "code": 0}', Unknown("HTTP 429", 8)),
        (429, {"retry-after": "0"}, b"", Unknown("HTTP 429", 1)),
        (429, {"retry-after": "1e9"}, b"", Unknown("HTTP 429", 3600)),
        (429, {"retry-after": "nan"}, b"", Unknown("HTTP 429", 5)),
        (429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"", Unknown("HTTP 429", 5)),
        (408, {}, b'{"code": 1}', Unknown("HTTP 408")),
        (302, {"location": "https://elsewhere"}, b"", Unknown("HTTP 302")),
        (500, {}, b'{"code": 10015}', Unknown("HTTP 500")),
        (503, {}, b"", Unknown("HTTP 503")),
    ],
)
def test_answer_is_judged(
    status: int, headers: dict[str, str], body: bytes, finding: Dead | Unknown | None
) -> None:
    assert judge(status, headers, body) == finding


@given(st.integers(100, 999), st.text(), st.binary())
def test_any_answer_can_be_judged(status: int, retry_after: str, body: bytes) -> None:
    finding = judge(status, {"retry-after": retry_after}, body)

    assert (finding is None) == (200 <= status < 300)
    assert not isinstance(finding, Unknown) or 1 <= finding.retry_after_s <= 3600
