"""How long a failed execution waits, and what becomes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_dispatcher.sender.backoff import Backoff, Next, decide
from tocsin_dispatcher.sender.outcome import Verdict

BACKOFF = Backoff(first_s=1, most_s=512, jitter_share=0.2)


def test_the_base_doubles_from_one_second_up_to_512():
    assert [BACKOFF.base_s(retry) for retry in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512]


def test_the_base_follows_its_settings():
    backoff = Backoff(first_s=0.5, most_s=3, jitter_share=0)

    assert [backoff.base_s(retry) for retry in range(5)] == [0.5, 1, 2, 3, 3]


@given(st.floats(0.1, 1000), st.floats(0, 1, exclude_max=True))
def test_jitter_adds_up_to_a_fifth(seconds: float, chance: float):
    assert seconds <= BACKOFF.jittered(seconds, chance) <= seconds * 1.2


@pytest.mark.parametrize(
    ("outcome", "failures", "max_retry", "expected"),
    [
        ("succeeded", 0, 3, Next("succeeded", 0, 0.0, "SUCCESS", None)),
        ("succeeded", 2, 3, Next("succeeded", 2, 0.0, "SUCCESS", None)),
        ("retryable", 0, 3, Next("waiting", 1, 1.0, "RETRYING", None)),
        ("retryable", 1, 3, Next("waiting", 2, 2.0, "RETRYING", None)),
        ("retryable", 2, 3, Next("waiting", 3, 4.0, "RETRYING", None)),
        ("retryable", 3, 3, Next("failed", 4, 0.0, "FAILED", "retries exhausted: why")),
        ("retryable", 0, 0, Next("failed", 1, 0.0, "FAILED", "retries exhausted: why")),
        ("limited", 3, 3, Next("waiting", 3, 7.5, "RETRYING", None)),
        ("permanent", 0, 3, Next("failed", 1, 0.0, "FAILED", "permanent: why")),
        ("gone", 0, 3, Next("failed", 1, 0.0, "FAILED", "gone: why")),
    ],
)
def test_an_execution_goes_on_as_its_outcome_says(outcome, failures, max_retry, expected):
    verdict = Verdict(outcome, "why", wait_s=7.5 if outcome == "limited" else 0.0)

    following = decide(verdict, BACKOFF, failures=failures, max_retry=max_retry, chance=0.0)

    assert following == expected


@pytest.mark.parametrize(
    ("told_s", "failures", "chance", "wait_s"),
    [
        pytest.param(0.0, 1, 0.0, 2.0, id="it says nothing"),
        pytest.param(1.5, 1, 0.0, 2.0, id="less than the retry waits anyway"),
        pytest.param(30.0, 1, 0.0, 30.0, id="more"),
        pytest.param(2.2, 1, 0.5, 2.2, id="as much as the jitter adds"),
        pytest.param(86_400.0, 0, 0.9, 86_400.0, id="a day"),
    ],
)
def test_a_retry_waits_at_least_as_long_as_the_receiver_says(told_s, failures, chance, wait_s):
    verdict = Verdict("retryable", "HTTP 503", 503, wait_s=told_s)

    following = decide(verdict, BACKOFF, failures=failures, max_retry=3, chance=chance)

    assert following == Next("waiting", failures + 1, pytest.approx(wait_s), "RETRYING", None)


def test_the_last_retry_is_the_last_whatever_the_receiver_says():
    verdict = Verdict("retryable", "HTTP 503", 503, wait_s=30.0)

    following = decide(verdict, BACKOFF, failures=3, max_retry=3, chance=0.0)

    assert (following.state, following.failures) == ("failed", 4)


def test_an_execution_that_always_fails_is_posted_once_and_then_as_often_as_it_may_be_retried():
    failures, attempts = 0, 0
    while True:
        attempts += 1
        following = decide(Verdict("retryable", "why"), BACKOFF, failures=failures, max_retry=10, chance=0.5)
        if following.state == "failed":
            break
        failures = following.failures

    assert attempts == 11
