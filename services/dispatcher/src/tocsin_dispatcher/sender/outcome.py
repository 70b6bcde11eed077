"""PURE. What an answer, or the lack of one, means: one table from result to outcome.

Sources: Discord's documentation of webhooks, rate limits and error codes; RFC 9110, section 15, on statuses, and
sections 5.6.7 and 10.2.3 on dates and Retry-After.
"""

import errno
import json
from collections.abc import Mapping
from datetime import UTC, datetime
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
HTTP_DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
"""All of them in UTC; the last two are old, and to be understood all the same."""

FAILED: Mapping[Phase, tuple[Outcome, bool]] = {
    "URL": ("permanent", False),  # no other attempt would read it better
    "connection": ("retryable", False),
    "answer": ("retryable", True),
}
"""What comes of an attempt without an answer, and whether its receiver may have acted on it."""
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN})
"""This machine, or this process, has no more files, buffers, memory or threads: no receiver can do that to it."""
LATER_STATUSES = frozenset({408, 425})
LATER_CODES = frozenset({130000, 20016, 20028, 20029, 40062})  # overload, slow mode, write limits
UNCONFIRMED = "no message id: it may not have been saved"
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
    """With `limited` or `retryable`: how long the receiver wants to be left alone; 0 where it does not say."""
    is_ours: bool = False
    """The cause is this installation's: however often it comes, the task is not stopped for it."""
    is_guess: bool = False
    """It did not say how long."""
    is_global: bool = False
    """With `limited`: it says that the limit is of all that comes from this address."""
    is_unconfirmed: bool = False
    """With `succeeded`: Discord, which was asked to wait until the message is saved, does not name it."""

    @property
    def is_breakdown(self) -> bool:
        """The receiver gave no answer, or one that says that it is broken."""
        is_broken = self.http_status is None or self.http_status >= 500
        return self.outcome == "retryable" and is_broken and not self.is_ours


def judge(result: Answer | Failure, limited_in_row: int = 0, *, is_at_discord: bool = False) -> Verdict:
    """The outcome of an attempt.

    `limited_in_row`: how many 429s before it, in a row, did not say how long. `is_at_discord`: the receiver is
    Discord itself, no other one and no stand-in.
    """
    if isinstance(result, Failure):
        outcome, ambiguous = FAILED[result.phase]
        return Verdict(outcome, clean(result.reason), ambiguous=ambiguous)
    facts = _facts(result.body)
    text, told_s = _describe(result, facts), _told_s(result, facts)
    if result.status == 429:
        wait_s = _guess_s(limited_in_row) if told_s is None else max(told_s, MIN_WAIT_S)
        is_global = facts.get("global") is True
        return Verdict("limited", text, 429, wait_s=wait_s, is_guess=told_s is None, is_global=is_global)
    outcome = _outcome(result.status, _code(facts))
    if outcome == "succeeded" and is_at_discord and not facts.get("id"):
        return Verdict(outcome, f"{text}, {UNCONFIRMED}", result.status, is_unconfirmed=True)
    return Verdict(outcome, text, result.status, wait_s=told_s or 0.0 if outcome == "retryable" else 0.0)


def shortage(error: BaseException) -> str | None:
    """What this machine lacked, as C calls it, if `error` says so. To charge a receiver for it would be unjust."""
    if isinstance(error, MemoryError):
        return "ENOMEM"
    number = error.errno if isinstance(error, OSError) else None
    return errno.errorcode[number] if number in SHORTAGES else None


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


def _guess_s(limited_in_row: int) -> float:
    return DEFAULT_WAITS_S[min(limited_in_row, len(DEFAULT_WAITS_S) - 1)]


def _told_s(answer: Answer, facts: Mapping[str, Any]) -> float | None:
    """At most MAX_WAIT_S. The body has fractions, the header is rounded up or a date; either may be missing."""
    header = answer.headers.get("retry-after")
    told = (_number(facts.get("retry_after")), _number(header), _until_s(header, answer.headers.get("date")))
    return next((min(seconds, MAX_WAIT_S) for seconds in told if seconds is not None), None)


def _until_s(then: str | None, now: str | None) -> float | None:
    """From one date to the other, both by the receiver's clock: ours may differ. 0 where the first is past."""
    if then is None or now is None:
        return None
    end, begin = _date(then), _date(now)
    return None if end is None or begin is None else max(0.0, (end - begin).total_seconds())


def _date(text: str) -> datetime | None:
    for form in HTTP_DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


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
        return clean(f"{status}, message {facts['id']}") if facts.get("id") else status
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
