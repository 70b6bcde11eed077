"""The table from an answer to its outcome, row by row as Discord documents them."""

import errno
import json
import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_dispatcher.sender.outcome import (
    MAX_MESSAGE,
    MAX_WAIT_S,
    MIN_WAIT_S,
    Answer,
    Failure,
    Outcome,
    Phase,
    Verdict,
    clean,
    judge,
    shortage,
)


def answer(status: int, body: object = None, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def error(status: int, code: object, message: str = "no") -> Answer:
    return answer(status, {"code": code, "message": message})


CLOUDFLARE = b"<!DOCTYPE html>\n<html><head><title>Access denied | error 1015</title></head><body>"
BAD_PAYLOAD = (50006, 50035, 50109, 40005, 50045, 220001, 220002, 220003, 40067, 160005, 50083, 200000, 240000)
LATER = (130000, 20016, 20028, 20029, 40062)
NOON = "Sun, 01 Mar 2026 12:00:00 GMT"
DATES = [
    ("a date", "Sun, 01 Mar 2026 12:00:07 GMT", NOON, 7.0),
    ("a date in the old form", "Sunday, 01-Mar-26 12:01:00 GMT", NOON, 60.0),
    ("a date in C's form", "Sun Mar  1 12:00:03 2026", NOON, 3.0),
    ("another day", "Mon, 02 Mar 2026 01:00:00 GMT", NOON, 46_800.0),
    ("the same moment", NOON, NOON, MIN_WAIT_S),
    ("what is past", "Sun, 01 Mar 2026 11:59:00 GMT", NOON, MIN_WAIT_S),
    ("the year 9999", "Fri, 31 Dec 9999 23:59:59 GMT", NOON, MAX_WAIT_S),
    ("a date by a clock that is no date", "Sun, 01 Mar 2026 12:00:07 GMT", "now", 5.0),
    ("a date by another zone's clock", "Sun, 01 Mar 2026 12:00:07 GMT", "Sun, 01 Mar 2026 12:00:00 CET", 5.0),
    ("a day that there is not", "Sun, 31 Feb 2026 12:00:07 GMT", NOON, 5.0),
    ("the year 10000", "Sun, 01 Mar 10000 12:00:07 GMT", NOON, 5.0),
]
"""Of Retry-After and Date: what it is, the two, and how long to wait."""


@pytest.mark.parametrize(
    ("given_answer", "outcome"),
    [
        # Succeeded: the status says it, whatever the body is.
        (answer(200, {"id": "123"}), "succeeded"),
        (answer(200), "succeeded"),
        (answer(200, b"<p>thanks</p>"), "succeeded"),
        (answer(200, b'{"id": "12'), "succeeded"),
        (answer(200, [1, 2]), "succeeded"),
        (answer(200, {"code": 10015}), "succeeded"),
        (answer(201), "succeeded"),
        (answer(202), "succeeded"),
        (answer(204), "succeeded"),
        (answer(299), "succeeded"),
        # Gone: only what says so beyond doubt.
        (error(404, 10015), "gone"),
        (error(401, 50027), "gone"),
        (error(403, 50027), "gone"),
        (error(404, 50027), "gone"),
        (error(401, 0), "permanent"),
        (error(401, None), "permanent"),
        (answer(401), "permanent"),
        (error(403, 10015), "permanent"),
        (error(404, 0), "permanent"),
        (error(404, None), "permanent"),
        (error(404, "10015"), "permanent"),
        (error(404, [10015]), "permanent"),
        (error(404, 10015.5), "permanent"),
        (error(404, True), "permanent"),
        (answer(404), "permanent"),
        (answer(404, b"<html>not found</html>"), "permanent"),
        (answer(404, b'{"message": "Unknown Webhook", "code": 10015'), "permanent"),
        (answer(410), "permanent"),
        # The wrong target, the webhook lives.
        (error(404, 10003), "permanent"),
        (error(400, 10003), "permanent"),
        # A bad payload.
        *[(error(400, code), "permanent") for code in BAD_PAYLOAD],
        *[(error(403, code), "permanent") for code in BAD_PAYLOAD],
        (answer(400), "permanent"),
        (error(403, 50013), "permanent"),
        (error(403, 40333), "permanent"),
        (answer(405), "permanent"),
        (answer(411), "permanent"),
        (answer(413, b"<html>too large</html>"), "permanent"),
        (answer(499), "permanent"),
        # Later.
        *[(error(status, code), "retryable") for code in LATER for status in (400, 403, 404)],
        (answer(408), "retryable"),
        (answer(425), "retryable"),
        *[(answer(status), "retryable") for status in (500, 501, 502, 503, 504, 507, 520, 522, 524, 530, 599)],
        (answer(500, {"code": {}, "message": []}), "retryable"),
        (answer(502, CLOUDFLARE), "retryable"),
        (answer(503, {"message": "try later"}), "retryable"),
        (error(500, 10015), "retryable"),
        (error(503, 50027), "retryable"),
        (error(503, 50006), "retryable"),
        # Limited.
        (answer(429, {"retry_after": 1.5}), "limited"),
        (answer(429, CLOUDFLARE), "limited"),
        (answer(429), "limited"),
        (error(429, 10015), "limited"),
        (error(429, 20016), "limited"),
        (error(429, 20028), "limited"),
        # Redirects are not followed, protocols not switched.
        *[(answer(status, location="https://discord.com/"), "permanent") for status in range(300, 309)],
        (answer(399), "permanent"),
        (error(302, 40062), "permanent"),
        (error(302, 50027), "permanent"),
        (answer(101, upgrade="websocket"), "permanent"),
        # No statuses of HTTP.
        *[(answer(status), "retryable") for status in (0, 42, 99, 600, 999)],
    ],
)
def test_an_answer_has_the_outcome_of_its_row(given_answer: Answer, outcome: str):
    cut = given_answer._replace(is_cut=True)

    assert judge(given_answer).outcome == outcome
    assert judge(cut).outcome == outcome
    assert judge(given_answer).http_status == given_answer.status
    assert not judge(given_answer).ambiguous


@pytest.mark.parametrize(
    ("reason", "phase", "outcome", "ambiguous"),
    [
        ("the webhook URL was sealed with a key that is gone", "URL", "permanent", False),
        ("the host's name could not be resolved", "connection", "retryable", False),
        ("the host has no public address", "connection", "retryable", False),
        ("could not connect", "connection", "retryable", False),
        ("TLS failed", "connection", "retryable", False),
        ("the host's certificate is not valid", "connection", "retryable", False),
        ("no connection within 10 s", "connection", "retryable", False),
        ("no answer within 10 s", "answer", "retryable", True),
        ("the receiver closed the connection", "answer", "retryable", True),
        ("the answer was not HTTP", "answer", "retryable", True),
    ],
)
def test_what_failed_without_an_answer_is_ambiguous_once_it_may_have_left(
    reason: str, phase: Phase, outcome: Outcome, ambiguous: bool
):
    assert judge(Failure(reason, phase)) == Verdict(outcome, reason, ambiguous=ambiguous)


@pytest.mark.parametrize(
    ("error", "lacked"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "EMFILE"),
        (OSError(errno.ENFILE, "Too many open files in system"), "ENFILE"),
        (OSError(errno.ENOBUFS, "No buffer space available"), "ENOBUFS"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "ENOMEM"),
        (OSError(errno.EAGAIN, "no thread could be started"), "EAGAIN"),
        (MemoryError(), "ENOMEM"),
        (OSError("not a name"), None),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), None),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), None),
        (OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), None),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), None),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), None),
        (ssl.SSLError(ssl.SSL_ERROR_SSL, "wrong version number"), None),
        (TimeoutError(), None),
        (RuntimeError("no"), None),
    ],
)
def test_a_shortage_is_what_this_machine_alone_lacks(error: BaseException, lacked: str | None):
    assert shortage(error) == lacked


@pytest.mark.parametrize(
    ("given_answer", "wait_s"),
    [
        pytest.param(answer(429, {"retry_after": 1.337}, retry_after="2"), 1.337, id="the body has fractions"),
        pytest.param(answer(429, b"<html/>", retry_after="7"), 7.0, id="the header where the body is no JSON"),
        pytest.param(answer(429), 5.0, id="neither"),
        pytest.param(answer(429, CLOUDFLARE), 5.0, id="a page of somebody in between"),
        pytest.param(answer(429, {"retry_after": "soon"}, retry_after="-1"), 5.0, id="nonsense"),
        pytest.param(answer(429, {"retry_after": [1]}, retry_after="1e400"), 5.0, id="more nonsense"),
        *[
            pytest.param(answer(429, retry_after=then, date=now), wait_s, id=f"until {what}")
            for what, then, now, wait_s in DATES
        ],
        pytest.param(answer(429, retry_after=NOON), 5.0, id="a date alone"),
        pytest.param(answer(429, retry_after="soon", date=NOON), 5.0, id="no date"),
        pytest.param(
            answer(429, {"retry_after": 1.5}, retry_after=NOON, date=NOON), 1.5, id="the body, not a date"
        ),
        pytest.param(
            answer(429, b'{"retry_after": 9', retry_after="7"), 7.0, id="the header where the body is cut"
        ),
        pytest.param(answer(429, {"retry_after": "1.5"}), 1.5, id="a number as text"),
        pytest.param(answer(429, {"retry_after": 0}), MIN_WAIT_S, id="at once"),
        pytest.param(answer(429, {"retry_after": 1e9}), MAX_WAIT_S, id="longer than a day"),
        pytest.param(answer(429, {"retry_after": 86_401}), MAX_WAIT_S, id="a second longer than a day"),
        pytest.param(answer(429, retry_after="9" * 300), MAX_WAIT_S, id="longer than all time"),
        pytest.param(answer(429, b'{"retry_after": NaN}', retry_after="3"), 3.0, id="not a number"),
        pytest.param(answer(429, {"retry_after": True}, retry_after="3"), 3.0, id="a boolean"),
    ],
)
def test_a_limited_answer_says_how_long_to_wait(given_answer: Answer, wait_s: float):
    assert judge(given_answer).wait_s == pytest.approx(wait_s)


@pytest.mark.parametrize(
    ("given_answer", "wait_s"),
    [
        pytest.param(answer(503), 0.0, id="nothing"),
        pytest.param(answer(503, retry_after="120"), 120.0, id="seconds"),
        pytest.param(answer(503, retry_after="Sun, 01 Mar 2026 12:02:00 GMT", date=NOON), 120.0, id="a date"),
        pytest.param(answer(503, retry_after=NOON), 0.0, id="a date alone"),
        pytest.param(answer(503, retry_after="soon"), 0.0, id="nonsense"),
        pytest.param(answer(503, retry_after="0"), 0.0, id="at once"),
        pytest.param(answer(503, retry_after="999999"), MAX_WAIT_S, id="longer than a day"),
        pytest.param(answer(503, {"retry_after": 1.5}), 1.5, id="in the body"),
        pytest.param(answer(500, retry_after="7"), 7.0, id="with another 5xx"),
        pytest.param(answer(408, retry_after="7"), 7.0, id="with 408"),
        pytest.param(answer(425, retry_after="7"), 7.0, id="with 425"),
        pytest.param(answer(400, {"code": 20016}, retry_after="7"), 7.0, id="with a code that says later"),
        pytest.param(answer(200, retry_after="7"), 0.0, id="with a success"),
        pytest.param(answer(301, retry_after="7"), 0.0, id="with a redirect"),
        pytest.param(answer(404, retry_after="7"), 0.0, id="with a failure for good"),
    ],
)
def test_what_is_to_be_tried_later_may_say_how_much_later(given_answer: Answer, wait_s: float):
    verdict = judge(given_answer)

    assert (verdict.wait_s, verdict.is_guess) == (wait_s, False)


@pytest.mark.parametrize(
    ("limited_in_row", "wait_s"),
    [(0, 5), (1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 320), (7, 600), (8, 600), (10**6, 600)],
)
def test_without_a_time_each_further_limit_in_a_row_doubles_the_wait(limited_in_row: int, wait_s: float):
    verdict = judge(answer(429, CLOUDFLARE), limited_in_row)

    assert (verdict.wait_s, verdict.is_guess) == (wait_s, True)


def test_a_time_that_is_told_is_not_doubled():
    verdict = judge(answer(429, {"retry_after": 1.5}), 5)

    assert (verdict.wait_s, verdict.is_guess) == (1.5, False)


def test_a_message_names_status_text_and_code():
    verdict = judge(answer(400, {"code": 50035, "message": "Invalid Form Body"}))

    assert verdict.message == "HTTP 400: Invalid Form Body (code 50035)"


@pytest.mark.parametrize(
    ("given_answer", "message"),
    [
        (answer(200, {"id": "42"}), "HTTP 200, message 42"),
        (answer(200, {"id": ["\x1b[31m", "\u202e", 7]}), "HTTP 200, message ['\\x1b[31m', '\\u202e', 7]"),
        (answer(200, {"id": "1\x00\r\n2"}), "HTTP 200, message 1 2"),
        (answer(204), "HTTP 204"),
        (answer(200, b"<p>thanks</p>"), "HTTP 200"),
        (answer(200, b'{"id": "4')._replace(is_cut=True), "HTTP 200, answer cut off"),
        (answer(200, {"id": "42"})._replace(is_cut=True), "HTTP 200, answer cut off, message 42"),
        (answer(500, b"Oops")._replace(is_cut=True), "HTTP 500, answer cut off: Oops"),
        (answer(301), "HTTP 301, redirects are not followed"),
        (answer(308, b"Moved"), "HTTP 308, redirects are not followed: Moved"),
        (answer(429, b"<html>\r\n<b>slow</b>"), "HTTP 429: <html> <b>slow</b>"),
        (answer(502, b"\xff\xfe\x00"), "HTTP 502: \ufffd\ufffd"),
        (answer(404, {"code": 10015}), 'HTTP 404: {"code": 10015}'),
    ],
)
def test_a_message_says_what_came(given_answer: Answer, message: str):
    assert judge(given_answer).message == message


@pytest.mark.parametrize(
    ("given_answer", "message"),
    [
        (answer(204), "HTTP 204, no message id: it may not have been saved"),
        (answer(200), "HTTP 200, no message id: it may not have been saved"),
        (answer(200, {"id": None}), "HTTP 200, no message id: it may not have been saved"),
        (answer(200, {"code": 0}), "HTTP 200, no message id: it may not have been saved"),
        (answer(200, ["id"]), "HTTP 200, no message id: it may not have been saved"),
        (answer(200, b"<p>thanks</p>"), "HTTP 200, no message id: it may not have been saved"),
        (
            answer(200, b'{"id": "4')._replace(is_cut=True),
            "HTTP 200, answer cut off, no message id: it may not have been saved",
        ),
    ],
)
def test_a_success_of_discords_that_names_no_message_says_so_and_is_one(given_answer: Answer, message: str):
    verdict = judge(given_answer, is_at_discord=True)

    assert verdict == Verdict("succeeded", message, given_answer.status, is_unconfirmed=True)


@pytest.mark.parametrize("status", [200, 201])
def test_a_success_of_discords_names_its_message(status: int):
    verdict = judge(answer(status, {"id": "42"}), is_at_discord=True)

    assert verdict == Verdict("succeeded", f"HTTP {status}, message 42", status)


@pytest.mark.parametrize("status", [100, 301, 404, 429, 500])
def test_only_a_success_is_to_name_a_message(status: int):
    assert judge(answer(status), is_at_discord=True) == judge(answer(status))


def test_elsewhere_a_success_need_not_name_a_message():
    assert judge(answer(204)) == Verdict("succeeded", "HTTP 204", 204)


@given(st.text(st.characters(exclude_categories=[]), max_size=2000))
def test_cleaned_text_can_be_stored_and_printed(text: str):
    cleaned = clean(text)

    assert len(cleaned) <= MAX_MESSAGE
    assert cleaned.isprintable()
    cleaned.encode()  # a lone surrogate would raise


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
FACTS = st.fixed_dictionaries({}, optional={name: JSON for name in ("code", "message", "retry_after", "id")})


@given(st.integers(0, 999), FACTS)
def test_no_json_is_without_an_outcome(status: int, facts: dict[str, object]):
    verdict = judge(answer(status, facts))

    assert verdict.outcome in {"succeeded", "retryable", "permanent", "gone", "limited"}
    assert 0 <= verdict.wait_s <= MAX_WAIT_S


TEXTS = st.text(max_size=20) | st.datetimes().map(lambda moment: f"{moment:%a, %d %b %Y %H:%M:%S GMT}")
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "date"]) | st.text(max_size=20), TEXTS)


@given(st.integers(0, 999), st.binary(max_size=200), HEADERS)
def test_no_answer_is_without_an_outcome(status: int, body: bytes, headers: dict[str, str]):
    verdict = judge(Answer(status, headers, body))

    assert 0 <= verdict.wait_s <= MAX_WAIT_S

    assert verdict.outcome in {"succeeded", "retryable", "permanent", "gone", "limited"}
    assert "\x00" not in verdict.message
