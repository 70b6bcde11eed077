"""The table from an answer to its outcome, row by row as Discord documents them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_dispatcher.sender.outcome import (
    DEFAULT_WAIT_S,
    MAX_MESSAGE,
    MAX_WAIT_S,
    MIN_WAIT_S,
    Answer,
    Failure,
    clean,
    judge,
)


def answer(status: int, body: object = None, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


@pytest.mark.parametrize(
    ("given_answer", "outcome"),
    [
        (answer(200, {"id": "123"}), "succeeded"),
        (answer(204), "succeeded"),
        (answer(301, location="https://discord.com/"), "permanent"),
        (answer(400, {"code": 50006, "message": "Cannot send an empty message"}), "permanent"),
        (answer(400, {"code": 50035, "errors": {}}), "permanent"),
        (answer(401, {"code": 50027}), "gone"),
        (answer(401, {"code": 0, "message": "401: Unauthorized"}), "permanent"),
        (answer(403, {"code": 50013}), "permanent"),
        (answer(404, {"code": 10015, "message": "Unknown Webhook"}), "gone"),
        (answer(404, {"code": 10003, "message": "Unknown Channel"}), "permanent"),
        (answer(404, b"<html>not found</html>"), "permanent"),
        (answer(408), "retryable"),
        (answer(425), "retryable"),
        (answer(429, {"retry_after": 1.5}), "limited"),
        (answer(429, b"<html>cloudflare</html>"), "limited"),
        (answer(400, {"code": 130000}), "retryable"),
        (answer(400, {"code": 20016}), "retryable"),
        (answer(403, {"code": 20028}), "retryable"),
        (answer(403, {"code": 20029}), "retryable"),
        (answer(403, {"code": 40062}), "retryable"),
        (answer(500), "retryable"),
        (answer(500, {"code": {}, "message": []}), "retryable"),
        (answer(404, {"code": [10015]}), "permanent"),
        (answer(502, b"<html>bad gateway</html>"), "retryable"),
        (answer(503, {"message": "try later"}), "retryable"),
        (Failure("could not connect", was_sent=False), "retryable"),
    ],
)
def test_an_answer_has_the_outcome_of_its_row(given_answer: Answer | Failure, outcome: str):
    assert judge(given_answer).outcome == outcome


def test_a_failure_after_the_request_was_sent_is_ambiguous():
    assert judge(Failure("no answer within 10 s", was_sent=True)).ambiguous
    assert not judge(Failure("could not connect", was_sent=False)).ambiguous


@pytest.mark.parametrize(
    ("given_answer", "wait_s"),
    [
        pytest.param(answer(429, {"retry_after": 1.337}, retry_after="2"), 1.337, id="the body has fractions"),
        pytest.param(answer(429, b"<html/>", retry_after="7"), 7.0, id="the header where the body is no JSON"),
        pytest.param(answer(429), DEFAULT_WAIT_S, id="neither"),
        pytest.param(answer(429, {"retry_after": "soon"}, retry_after="-1"), DEFAULT_WAIT_S, id="nonsense"),
        pytest.param(answer(429, {"retry_after": 0}), MIN_WAIT_S, id="at once"),
        pytest.param(answer(429, {"retry_after": 1e9}), MAX_WAIT_S, id="longer than a day"),
        pytest.param(answer(429, b'{"retry_after": NaN}', retry_after="3"), 3.0, id="not a number"),
        pytest.param(answer(429, {"retry_after": True}, retry_after="3"), 3.0, id="a boolean"),
    ],
)
def test_a_limited_answer_says_how_long_to_wait(given_answer: Answer, wait_s: float):
    assert judge(given_answer).wait_s == pytest.approx(wait_s)


def test_a_message_names_status_text_and_code():
    verdict = judge(answer(400, {"code": 50035, "message": "Invalid Form Body"}))

    assert verdict.message == "HTTP 400: Invalid Form Body (code 50035)"
    assert judge(answer(200, {"id": "42"})).message == "HTTP 200, message 42"


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


@given(st.integers(100, 599), FACTS)
def test_no_json_is_without_an_outcome(status: int, facts: dict[str, object]):
    verdict = judge(answer(status, facts))

    assert verdict.outcome in {"succeeded", "retryable", "permanent", "gone", "limited"}
    assert 0 <= verdict.wait_s <= MAX_WAIT_S


@given(st.integers(100, 599), st.binary(max_size=200), st.dictionaries(st.text(max_size=20), st.text(max_size=20)))
def test_no_answer_is_without_an_outcome(status: int, body: bytes, headers: dict[str, str]):
    verdict = judge(Answer(status, headers, body))

    assert verdict.outcome in {"succeeded", "retryable", "permanent", "gone", "limited"}
    assert "\x00" not in verdict.message
