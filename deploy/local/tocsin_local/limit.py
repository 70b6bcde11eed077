"""PURE. A webhook's rate limit as Discord's: so many requests in a fixed window, told in headers."""

from math import ceil
from typing import NamedTuple

BUCKET = "tocsin-local"
"""Discord's bucket id is opaque and leaves the webhook out: all webhooks share it, each has its own count."""


class Limit(NamedTuple):
    """At most so many `requests` in `window_s` seconds."""

    requests: int
    window_s: float


class Turn(NamedTuple):
    """What the limit says to one request. Times are seconds, `reset_at` since the epoch."""

    allowed: bool
    limit: int
    remaining: int
    """Requests left in this window after this one."""
    reset_at: float
    reset_after_s: float


class Window:
    """Counts requests. A window opens with the first request after the one before has ended."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._reset_at = float("-inf")
        self._taken = 0

    def take(self, now: float) -> Turn:
        """Count a request at `now` (seconds since the epoch), unless the window is used up."""
        if now >= self._reset_at:
            self._reset_at = now + self._limit.window_s
            self._taken = 0
        allowed = self._taken < self._limit.requests
        self._taken += allowed
        remaining = self._limit.requests - self._taken
        return Turn(allowed, self._limit.requests, remaining, self._reset_at, self._reset_at - now)


def headers(turn: Turn) -> dict[str, str]:
    """The headers that tell a client of its limit; those of a 429 too where the request was refused."""
    told = {
        "X-RateLimit-Limit": str(turn.limit),
        "X-RateLimit-Remaining": str(turn.remaining),
        "X-RateLimit-Reset": f"{turn.reset_at:.3f}",
        "X-RateLimit-Reset-After": f"{turn.reset_after_s:.3f}",
        "X-RateLimit-Bucket": BUCKET,
    }
    if not turn.allowed:
        # The header has whole seconds, the body's `retry_after` a fraction.
        told |= {"Retry-After": str(ceil(turn.reset_after_s)), "X-RateLimit-Scope": "user"}
    return told
