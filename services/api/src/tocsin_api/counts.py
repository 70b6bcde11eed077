"""ADAPTER. Counts requests in windows: in Redis, for all APIs together, else in memory, for this one alone.

A limit is no reason to refuse anybody because Redis is away: meanwhile each API counts for itself.
"""

import time
from collections import defaultdict
from functools import partial

from redis.asyncio import Redis

from tocsin_api.rate_limits import WINDOW_S, Tally, Windows
from tocsin_api.shared import AloneError, Shared

PREFIX = "tocsin:requests"


class Counts:
    """How many requests came from whom."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        # One for each kind: strangers, however many, must not push out the counts of keys.
        self._windows: dict[str, Windows] = defaultdict(Windows)

    async def count(self, kind: str, who: str) -> Tally:
        """Count one request more of `who`, who is of a `kind`."""
        try:
            return await self._shared.ask(partial(_count, f"{PREFIX}:{kind}:{who}"))
        except AloneError:
            return self._windows[kind].count(who, time.monotonic())


async def _count(key: str, redis: Redis) -> Tally:
    """The window ends by Redis's own clock, and takes its key along."""
    async with redis.pipeline(transaction=True) as window:
        window.set(key, 0, ex=WINDOW_S, nx=True)
        window.incr(key)
        window.pttl(key)
        _, used, left_ms = await window.execute()
    return Tally(used, left_ms / 1000)
