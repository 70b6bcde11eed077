"""ADAPTER. Redis, which all APIs share. Tocsin does without: while it is away, each API goes on alone."""

import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from tocsin_common.diagnosis import Finding
from tocsin_common.errors import TocsinError
from tocsin_common.identity import process_name

MAX_CONNECTIONS = 10
TIMEOUT_S = 0.25  # a request waits so long at most
TRY_AGAIN_S = 5  # while it is away, one request in so long finds out whether it is back

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class AloneError(TocsinError):
    """There is no Redis, or it is away."""


class Shared:
    """A context manager; connects when somebody first asks."""

    def __init__(self, redis_url: str, *, try_again_s: float = TRY_AGAIN_S) -> None:
        """Without a URL there is none."""
        self._try_again_s = try_again_s
        self._redis = _client(redis_url) if redis_url else None
        self._is_away = False
        self._try_again_at = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    async def ask(self, ask: Callable[[Redis], Awaitable[T]]) -> T:
        """What `ask` gets from it. Raises AloneError, at once while it is known to be away."""
        now = time.monotonic()
        if self._redis is None or (self._is_away and now < self._try_again_at):
            raise AloneError("there is no Redis")
        self._try_again_at = now + self._try_again_s  # the others do not wait with this one
        try:
            answer = await ask(self._redis)
        except (RedisError, OSError) as error:
            self._lose(error)
            raise AloneError("Redis does not answer") from error
        if self._is_away:
            self._is_away = False
            _log.info("redis.connected")
        return answer

    def _lose(self, error: Exception) -> None:
        self._try_again_at = time.monotonic() + self._try_again_s
        if not self._is_away:
            self._is_away = True
            # Its text may repeat what a server said, and the address, never the password.
            hint = "each API counts requests, and keeps the dashboard's figures, alone"
            _log.warning("redis.unavailable", error=repr(error), hint=hint)


async def look_at(redis_url: str) -> Finding:
    """For the doctor: whether APIs could share something there. Nothing is."""
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
