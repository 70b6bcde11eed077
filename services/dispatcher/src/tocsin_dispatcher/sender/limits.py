"""PURE. What an answer tells of limits: of its destination's, and of those that Discord counts by address.

Source: Discord's documentation of rate limits. All figures come from a stranger: what makes no sense is not there.
"""

import re
from typing import Any, NamedTuple

from tocsin_dispatcher.sender.outcome import MAX_WAIT_S, Answer, Verdict

MOST_REQUESTS = 100_000  # in a window: more is no limit
INVALID_STATUSES = frozenset({401, 403, 429})
"""Discord blocks an address for a while that gets too many of these."""
_BUCKET = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What Discord's look like. Another text may be one that no database takes: a byte that is no UTF-8 makes one."""


class Window(NamedTuple):
    """A limit: so many requests in so long."""

    requests: int
    length_s: float


DISCORD_WINDOW = Window(5, 2.0)
"""What was observed of Discord's webhooks; holds until a webhook's own headers say otherwise."""


NO_LIMIT = Window(0, 0.0)
"""Of a destination that answers and says nothing of limits."""


class Told(NamedTuple):
    """What one answer tells."""

    blocked_s: float = 0.0
    """Its destination is to be left alone for so long."""
    is_everywhere: bool = False
    """And so is every other of Discord's: the block is of the address."""
    is_invalid: bool = False
    """Counts towards Discord's budget of invalid answers."""
    bucket: str | None = None
    """Which limit the figures are of: another one's say nothing any more."""
    window: Window | None = None
    """Where the answer shows the whole window, as only its first one does; NO_LIMIT: it names none."""
    is_used_up: bool = False
    """The window has no room left, and ends after `resets_after_s`."""
    resets_after_s: float = 0.0


def tell(answer: Answer, verdict: Verdict) -> Told:
    """What the headers say, and the outcome that was made of the answer."""
    limit = _number(answer, "limit")
    remaining = _number(answer, "remaining")
    resets_after_s = min(_number(answer, "reset-after") or 0.0, MAX_WAIT_S)
    is_named = "x-ratelimit-limit" in answer.headers
    is_limit = limit is not None and 1 <= limit <= MOST_REQUESTS and limit == int(limit)
    is_first = is_limit and remaining is not None and remaining + 1 == limit
    scope = answer.headers.get("x-ratelimit-scope")
    is_limited = verdict.outcome == "limited"
    window = Window(int(limit or 1), resets_after_s) if is_first and resets_after_s else None
    return Told(
        blocked_s=verdict.wait_s if is_limited else 0.0,
        is_everywhere=is_limited and (verdict.is_global or _is_everywhere(answer, scope)),
        is_invalid=answer.status in INVALID_STATUSES and scope != "shared",
        bucket=_bucket(answer),
        window=window if is_named or verdict.outcome != "succeeded" else NO_LIMIT,
        is_used_up=not is_limited and remaining == 0 and resets_after_s > 0,
        resets_after_s=resets_after_s,
    )


def _is_everywhere(answer: Answer, scope: str | None) -> bool:
    """By the headers a global limit; or, without any, the answer is not Discord's but of what stands before it."""
    if scope == "global" or answer.headers.get("x-ratelimit-global", "").lower() == "true":
        return True
    return not any(name.startswith("x-ratelimit-") for name in answer.headers)


def _bucket(answer: Answer) -> str | None:
    name = answer.headers.get("x-ratelimit-bucket", "")
    return name if _BUCKET.fullmatch(name) else None


def _number(answer: Answer, name: str) -> float | None:
    """A finite number that is not negative, else None."""
    text: Any = answer.headers.get(f"x-ratelimit-{name}")
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < float("inf") else None
