"""PURE. What an answer, or the lack of one, means: one table from result to outcome.

Source: Discord's documentation of webhooks, rate limits and error codes.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Outcome = Literal["succeeded", "retryable", "permanent", "gone", "limited"]

MAX_WAIT_S = 86_400.0  # no receiver may park an execution for longer than a day
MIN_WAIT_S = 0.25  # nor have it posted again at once, again and again
DEFAULT_WAIT_S = 5.0  # a 429 that does not say how long
MAX_MESSAGE = 500

RETRYABLE_STATUSES = frozenset({408, 425})
GONE = frozenset({(404, 10015), (401, 50027)})  # unknown webhook; invalid webhook token
LATER_CODES = frozenset({130000, 20016, 20028, 20029, 40062})  # overload, slow mode, write limits


class Answer(NamedTuple):
    """What the receiver said. Header names are in lower case; the body may be cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Failure(NamedTuple):
    """Why there is no answer."""

    reason: str
    was_sent: bool
    """The request left: the receiver may have acted on it."""


class Verdict(NamedTuple):
    """What to do about an attempt."""

    outcome: Outcome
    message: str
    """For people: sanitised, at most MAX_MESSAGE characters."""
    http_status: int | None = None
    ambiguous: bool = False
    wait_s: float = 0.0
    """With `limited`: how long the receiver wants to be left alone."""
    is_ours: bool = False
    """The cause is this installation's: however often it comes, the task is not stopped for it."""

    @property
    def is_breakdown(self) -> bool:
        """The receiver gave no answer, or one that says that it is broken."""
        return self.outcome == "retryable" and (self.http_status is None or self.http_status >= 500)


def judge(result: Answer | Failure) -> Verdict:
    """The outcome of an attempt."""
    if isinstance(result, Failure):
        return Verdict("retryable", clean(result.reason), ambiguous=result.was_sent)
    facts = _facts(result.body)
    text = _describe(result, facts)
    if 200 <= result.status < 300:
        return Verdict("succeeded", text, result.status)
    if result.status == 429:
        return Verdict("limited", text, result.status, wait_s=_retry_after_s(result, facts))
    return Verdict(_refusal(result.status, _code(facts)), text, result.status)


def clean(text: str) -> str:
    """Text of a stranger, fit for a row and a terminal: no control characters, no lone surrogates, cut."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 2 * MAX_MESSAGE])
    return " ".join(printable.split())[:MAX_MESSAGE]


def _code(facts: Mapping[str, Any]) -> int | None:
    code = facts.get("code")
    return code if isinstance(code, int) else None


def _refusal(status: int, code: int | None) -> Outcome:
    if (status, code) in GONE:
        return "gone"
    if status >= 500 or status in RETRYABLE_STATUSES or code in LATER_CODES:
        return "retryable"
    return "permanent"


def _retry_after_s(answer: Answer, facts: Mapping[str, Any]) -> float:
    # The body has fractions, the header is rounded up; either may be missing.
    for value in (facts.get("retry_after"), answer.headers.get("retry-after")):
        seconds = _number(value)
        if seconds is not None:
            return min(max(seconds, MIN_WAIT_S), MAX_WAIT_S)
    return DEFAULT_WAIT_S


def _facts(body: bytes) -> Mapping[str, Any]:
    try:
        facts = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _describe(answer: Answer, facts: Mapping[str, Any]) -> str:
    status = f"HTTP {answer.status}"
    if 200 <= answer.status < 300:
        return clean(f"{status}, message {facts['id']}") if "id" in facts else status
    if "message" in facts:
        code = f" (code {facts['code']})" if facts.get("code") else ""
        return clean(f"{status}: {facts['message']}{code}")
    return clean(f"{status}: {answer.body[:MAX_MESSAGE].decode(errors='replace')}") if answer.body else status


def _number(value: Any) -> float | None:
    """A finite number that is not negative, else None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < float("inf") else None
