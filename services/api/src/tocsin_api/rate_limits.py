"""PURE. Limits by the minute: how requests are counted, what is too many, and what answers say about it.

A window begins with a client's first request and lasts a minute; the next request after it begins another one.
"""

from collections import OrderedDict
from collections.abc import Mapping
from math import ceil
from typing import NamedTuple

from tocsin_api.errors import TooManyRequestsError

WINDOW_S = 60
MAX_WINDOWS = 10_000  # about 3 MB. Who has more addresses than that is not stopped by counting them


class Limit(NamedTuple):
    """So many requests in a window."""

    name: str
    of_whom: str
    """As an error says it."""
    per_minute: int
    """0 is no limit."""


class Tally(NamedTuple):
    """Where a window stands, with the present request."""

    used: int
    seconds_left: float


class Windows:
    """Counts in memory, of the MAX_WINDOWS newest windows."""

    def __init__(self) -> None:
        self._windows: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """Who: count, end. All last equally long, so the first in here is the first to end."""

    def count(self, who: str, now: float) -> Tally:
        """Count one request more at `now`, in seconds of a clock that never goes back."""
        while self._windows and next(iter(self._windows.values()))[1] <= now:
            self._windows.popitem(last=False)
        count, ends_at = self._windows.get(who, (0, now + WINDOW_S))
        self._windows[who] = (count + 1, ends_at)
        if len(self._windows) > MAX_WINDOWS:
            self._windows.popitem(last=False)
        return Tally(count + 1, min(WINDOW_S, ends_at - now))


def judge(limit: Limit, tally: Tally) -> Mapping[str, str]:
    """The headers that tell how much is left (draft-ietf-httpapi-ratelimit-headers-10).

    Raises TooManyRequestsError, which has them as well.
    """
    wait_s = max(1, ceil(tally.seconds_left))
    headers = {
        "RateLimit-Policy": f'"{limit.name}";q={limit.per_minute};w={WINDOW_S}',
        "RateLimit": f'"{limit.name}";r={max(0, limit.per_minute - tally.used)};t={wait_s}',
    }
    if tally.used <= limit.per_minute:
        return headers
    why = f"more than {limit.per_minute} requests a minute {limit.of_whom}"
    raise TooManyRequestsError(f"{why}; try again in {wait_s} s", {**headers, "Retry-After": str(wait_s)})
