"""What an answer's headers tell of limits."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_dispatcher.sender.limits import MOST_REQUESTS, NO_LIMIT, Told, Window, tell
from tocsin_dispatcher.sender.outcome import MAX_WAIT_S, Answer, judge

CLOUDFLARE = b"<html>error 1015: you are being rate limited</html>"


def told(status: int, body: Any = None, **headers: str) -> Told:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    answer = Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)
    return tell(answer, judge(answer))


def limit(limit: str, remaining: str, reset_after: str, **headers: str) -> dict[str, str]:
    shown = {"limit": limit, "remaining": remaining, "reset_after": reset_after, **headers}
    return {f"x_ratelimit_{name}": value for name, value in shown.items()}


@pytest.mark.parametrize(
    ("headers", "window"),
    [
        pytest.param(limit("5", "4", "2.0"), Window(5, 2.0), id="the first of a window shows all of it"),
        pytest.param(limit("1", "0", "60"), Window(1, 60.0), id="so does the only one"),
        pytest.param(limit("5", "3", "1.9"), None, id="the second does not"),
        pytest.param(limit("5", "4", "0"), None, id="a window without a length is none"),
        pytest.param(limit("0", "-1", "2"), None, id="nor is one of no requests"),
        pytest.param(limit("2.5", "1.5", "2"), None, id="nor one of half a request"),
        pytest.param(limit("1e400", "1e400", "2"), None, id="infinite"),
        pytest.param(limit("nan", "nan", "nan"), None, id="not a number"),
        pytest.param(limit(str(MOST_REQUESTS + 1), str(MOST_REQUESTS), "2"), None, id="too many to be a limit"),
        pytest.param(limit("5", "4", "1e12"), Window(5, MAX_WAIT_S), id="longer than a day"),
        pytest.param({}, NO_LIMIT, id="no headers"),
    ],
)
def test_a_success_shows_the_window(headers: dict[str, str], window: Window | None):
    assert told(200, **headers).window == window


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_only_a_success_without_headers_says_that_there_is_no_limit(status: int):
    assert told(status).window is None


def test_the_last_of_a_window_says_that_it_is_used_up_until_its_end():
    last, other = told(200, **limit("5", "0", "0.7")), told(200, **limit("5", "1", "0.8"))

    assert (last.is_used_up, last.resets_after_s) == (True, 0.7)
    assert not other.is_used_up


def test_a_refusal_says_how_long_whatever_its_headers_say():
    refused = told(429, {"retry_after": 3.5}, **limit("5", "0", "0.7"))

    assert (refused.blocked_s, refused.is_used_up, refused.is_everywhere) == (3.5, False, False)


@pytest.mark.parametrize(
    ("headers", "body", "is_everywhere"),
    [
        pytest.param({"x_ratelimit_global": "true"}, {"global": True}, True, id="the global limit"),
        pytest.param({"x_ratelimit_scope": "global"}, None, True, id="by its scope"),
        pytest.param(limit("5", "0", "1"), {"global": True}, True, id="by its body alone"),
        pytest.param({"x_ratelimit_scope": "user"}, {"global": True}, True, id="by its body, whatever its scope"),
        pytest.param(limit("5", "0", "1"), {"global": False}, False, id="its body says that it is not"),
        pytest.param(limit("5", "0", "1"), {"global": "true"}, False, id="its body says no truth"),
        pytest.param({"retry_after": "600"}, CLOUDFLARE, True, id="what stands before Discord refuses"),
        pytest.param({}, CLOUDFLARE, True, id="and does not say how long"),
        pytest.param(
            {"x_ratelimit_scope": "user", **limit("5", "0", "1")}, None, False, id="this webhook's limit"
        ),
        pytest.param({"x_ratelimit_scope": "shared"}, None, False, id="its channel's"),
    ],
)
def test_a_refusal_of_the_address_is_told_from_one_of_the_webhook(headers, body, is_everywhere: bool):
    assert told(429, body, **headers).is_everywhere is is_everywhere


@pytest.mark.parametrize("status", [200, 400, 503])
def test_only_a_refusal_is_one_of_the_address(status: int):
    assert not told(status, {"global": True}, x_ratelimit_global="true").is_everywhere


@pytest.mark.parametrize(
    ("status", "scope", "is_invalid"),
    [
        (401, None, True),
        (403, None, True),
        (429, "user", True),
        (429, "global", True),
        (429, None, True),
        (429, "shared", False),
        (404, None, False),
        (400, None, False),
        (200, None, False),
        (500, None, False),
    ],
)
def test_invalid_is_what_discord_counts(status: int, scope: str | None, is_invalid: bool):
    headers = {} if scope is None else {"x_ratelimit_scope": scope}

    assert told(status, **headers).is_invalid is is_invalid


@pytest.mark.parametrize("name", ["abcd1234", "80c17d2f203122d936070c88c8d10f33", "A-b_9", "b" * 64])
def test_a_bucket_is_known_by_its_name(name: str):
    assert told(200, x_ratelimit_bucket=name).bucket == name


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="nothing"),
        pytest.param("b" * 65, id="too long"),
        pytest.param("b" * 5000, id="far too long"),
        pytest.param("a\udcffb", id="a byte that is no UTF-8"),
        pytest.param("a\x00b", id="NUL"),
        pytest.param("abcd\n", id="a line's end"),
        pytest.param("a b", id="a blank"),
        pytest.param("b\xfccket", id="a letter that is not ASCII"),
        pytest.param("\uff11\uff12", id="full-width digits"),
        pytest.param("a'; DROP", id="another language"),
    ],
)
def test_what_cannot_be_a_buckets_name_is_none(name: str):
    assert told(200, x_ratelimit_bucket=name).bucket is None


NAMES = st.sampled_from(["limit", "remaining", "reset-after", "bucket", "scope", "global"]).map(
    "x-ratelimit-{}".format
)
VALUES = st.text(max_size=10) | st.floats().map(str) | st.integers().map(str)


@given(st.integers(100, 599), st.dictionaries(NAMES, VALUES))
def test_no_header_makes_figures_that_make_no_sense(status: int, headers: dict[str, str]):
    answer = Answer(status, headers, b"")

    found = tell(answer, judge(answer))

    (found.bucket or "").encode("ascii")  # or it would raise
    assert 0 <= found.blocked_s <= MAX_WAIT_S
    assert 0 <= found.resets_after_s <= MAX_WAIT_S
    if found.window not in (None, NO_LIMIT):
        assert 1 <= found.window.requests <= MOST_REQUESTS
        assert 0 < found.window.length_s <= MAX_WAIT_S
