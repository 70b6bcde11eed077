"""ADAPTER. Counts requests in windows: in Redis, for all APIs together, else in memory, for this one alone.

A limit is no reason to refuse anybody because Redis is away: meanwhile each API counts for itself.
"""

import time
from collections import defaultdict
from types import TracebackType
from typing import Self

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from tocsin_api.rate_limits import WINDOW_S, Tally, Windows
from tocsin_common.diagnosis import Finding
from tocsin_common.identity import process_name

MAX_CONNECTIONS = 10
TIMEOUT_S = 0.25  # a request waits so long at most
TRY_AGAIN_S = 5  # while it is away, one request in so long finds out whether it is back
PREFIX = "tocsin:requests"

_log = structlog.get_logger(__name__)


class Counts:
    """A context manager; connects when it first counts."""

    def __init__(self, redis_url: str, *, try_again_s: float = TRY_AGAIN_S) -> None:
        """Without a URL it counts in memory."""
        self._try_again_s = try_again_s
        self._redis = _client(redis_url) if redis_url else None
        self._is_away = False
        self._try_again_at = 0.0
        # One for each kind: strangers, however many, must not push out the counts of keys.
        self._windows: dict[str, Windows] = defaultdict(Windows)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    async def count(self, kind: str, who: str) -> Tally:
        """Count one request more of `who`, who is of a `kind`."""
        now = time.monotonic()
        if self._redis is not None and (not self._is_away or now >= self._try_again_at):
            self._try_again_at = now + self._try_again_s  # the others do not wait with this one
            try:
                return await self._count_in_redis(self._redis, f"{PREFIX}:{kind}:{who}")
            except (RedisError, OSError) as error:
                self._lose(error)
        return self._windows[kind].count(who, now)

    async def _count_in_redis(self, redis: Redis, key: str) -> Tally:
        """The window ends by Redis's own clock, and takes its key along."""
        async with redis.pipeline(transaction=True) as window:
            window.set(key, 0, ex=WINDOW_S, nx=True)
            window.incr(key)
            window.pttl(key)
            _, used, left_ms = await window.execute()
        if self._is_away:
            self._is_away = False
            _log.info("redis.connected")
        return Tally(used, left_ms / 1000)

    def _lose(self, error: Exception) -> None:
        self._try_again_at = time.monotonic() + self._try_again_s
        if not self._is_away:
            self._is_away = True
            # Its text may repeat what a server said, and the address, never the password.
            _log.warning("redis.unavailable", error=repr(error), hint="requests are counted by each API alone")


async def look_at(redis_url: str) -> Finding:
    """For the doctor: whether requests could be counted there. Nothing is."""
    async with _client(redis_url) as redis:
        try:
            await redis.ping()
        except (AuthenticationError, ResponseError):
            return Finding("Redis", "WRONG", "it refuses the login: see all that REDIS_URL says")
        except (RedisError, OSError) as error:
            says = f"it does not answer ({type(error).__name__}), and each API counts requests alone"
            return Finding("Redis", "WRONG", f"{says}: see host and port in the API's settings of Redis")
    return Finding("Redis", "ok", "answers, and takes the login")


def _client(url: str) -> Redis:
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        client_name=process_name("api"),
        # Of a server that was restarted the pool has connections that are of no use; no more than that is tried.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )
    return Redis.from_pool(pool)
