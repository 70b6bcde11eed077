"""PURE. What an answer, or the lack of one, means: one table from result to outcome.

Sources: Discord's documentation of webhooks, rate limits and error codes; RFC 9110, section 15, on statuses.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Outcome = Literal["succeeded", "retryable", "permanent", "gone", "limited"]
Phase = Literal["URL", "connection", "answer"]
"""What an attempt failed for want of. A connection takes the name's look-up, TCP and TLS; nothing of the request
leaves before it is there. An answer is there with its status: what breaks off after that changes no outcome."""

MAX_WAIT_S = 86_400.0  # no receiver may park an execution for longer than a day
MIN_WAIT_S = 0.25  # nor have it posted again at once, again and again
# For the first 429 that does not say how long, the second in a row and so on. The last is as long as the time over
# which Discord counts invalid answers, before it blocks the address that they went to.
DEFAULT_WAITS_S = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0)
MAX_MESSAGE = 500

FAILED: Mapping[Phase, tuple[Outcome, bool]] = {
    "URL": ("permanent", False),  # no other attempt would read it better
    "connection": ("retryable", False),
    "answer": ("retryable", True),
}
"""What comes of an attempt without an answer, and whether its receiver may have acted on it."""
LATER_STATUSES = frozenset({408, 425})
LATER_CODES = frozenset({130000, 20016, 20028, 20029, 40062})  # overload, slow mode, write limits
UNKNOWN_WEBHOOK = 10015  # with 404 alone, and no 404 without it: an unknown thread is one as well
INVALID_TOKEN = 50027


class Answer(NamedTuple):
    """What the receiver said. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False
    """The body goes on: it is too long, broke off or did not end in time."""


class Failure(NamedTuple):
    """Why there is no answer."""

    reason: str
    phase: Phase


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
    is_guess: bool = False
    """It did not say how long."""
    is_global: bool = False
    """With `limited`: it says that the limit is of all that comes from this address."""

    @property
    def is_breakdown(self) -> bool:
        """The receiver gave no answer, or one that says that it is broken."""
        is_broken = self.http_status is None or self.http_status >= 500
        return self.outcome == "retryable" and is_broken and not self.is_ours


def judge(result: Answer | Failure, limited_in_row: int = 0) -> Verdict:
    """The outcome of an attempt. `limited_in_row`: how many 429s before it, in a row, did not say how long."""
    if isinstance(result, Failure):
        outcome, ambiguous = FAILED[result.phase]
        return Verdict(outcome, clean(result.reason), ambiguous=ambiguous)
    facts = _facts(result.body)
    text = _describe(result, facts)
    if result.status == 429:
        wait_s = _retry_after_s(result, facts, limited_in_row)
        is_guess, is_global = _told_s(result, facts) is None, facts.get("global") is True
        return Verdict("limited", text, 429, wait_s=wait_s, is_guess=is_guess, is_global=is_global)
    return Verdict(_outcome(result.status, _code(facts)), text, result.status)


def clean(text: str) -> str:
    """Text of a stranger, fit for a row and a terminal: no control characters, no lone surrogates, cut."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 2 * MAX_MESSAGE])
    return " ".join(printable.split())[:MAX_MESSAGE]


def _outcome(status: int, code: int | None) -> Outcome:
    """Of all statuses but 429."""
    if 200 <= status < 300:
        return "succeeded"
    if not 100 <= status < 500 or status in LATER_STATUSES:  # no status of HTTP: as a server's error
        return "retryable"
    if status < 400:  # redirects are not followed, protocols not switched
        return "permanent"
    if code == INVALID_TOKEN or (status == 404 and code == UNKNOWN_WEBHOOK):
        return "gone"
    return "retryable" if code in LATER_CODES else "permanent"


def _code(facts: Mapping[str, Any]) -> int | None:
    code = facts.get("code")
    return code if isinstance(code, int) else None


def _retry_after_s(answer: Answer, facts: Mapping[str, Any], limited_in_row: int = 0) -> float:
    told_s = _told_s(answer, facts)
    if told_s is None:
        return DEFAULT_WAITS_S[min(limited_in_row, len(DEFAULT_WAITS_S) - 1)]
    return min(max(told_s, MIN_WAIT_S), MAX_WAIT_S)


def _told_s(answer: Answer, facts: Mapping[str, Any]) -> float | None:
    """The body has fractions, the header is rounded up; either may be missing."""
    told = (_number(facts.get("retry_after")), _number(answer.headers.get("retry-after")))
    return next((seconds for seconds in told if seconds is not None), None)


def _facts(body: bytes) -> Mapping[str, Any]:
    if not body:
        return {}
    try:
        facts = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _describe(answer: Answer, facts: Mapping[str, Any]) -> str:
    """The status, what has to be known about it, and what the receiver says."""
    status = f"HTTP {answer.status}"
    if 300 <= answer.status < 400:
        status += ", redirects are not followed"
    if answer.is_cut:
        status += ", answer cut off"
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
