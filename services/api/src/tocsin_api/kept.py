"""ADAPTER. Keeps a value for a while: in Redis, for all APIs together, else in memory, for this one alone."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import msgspec
from redis.asyncio import Redis

from tocsin_api.shared import AloneError, Shared

T = TypeVar("T")


class Kept(Generic[T]):
    """One value of a `kind` that can be read from JSON."""

    def __init__(
        self, shared: Shared, name: Callable[[], Awaitable[str]], kind: type[T], *, keep_s: float
    ) -> None:
        """All who name it alike share it. They are asked for the name once, and only where there is a Redis."""
        self._shared = shared
        self._find_name = name
        self._name = ""
        self._kind = kind
        self._keep_s = keep_s
        self._alone: T | None = None
        self._alone_until = float("-inf")

    async def find(self) -> T | None:
        """The value that was kept less than `keep_s` ago."""
        try:
            return await self._shared.ask(self._get)
        except AloneError:
            return self._alone if time.monotonic() < self._alone_until else None

    async def keep(self, value: T) -> T:
        """Keep it, unless somebody else was first; what is kept, so that all show the same."""

        async def set_first(redis: Redis) -> T | None:
            await redis.set(await self._named(), msgspec.json.encode(value), px=self._keep_ms, nx=True)
            return await self._get(redis)

        try:
            return await self._shared.ask(set_first) or value
        except AloneError:
            self._alone, self._alone_until = value, time.monotonic() + self._keep_s
            return value

    @property
    def _keep_ms(self) -> int:
        return max(1, round(self._keep_s * 1000))

    async def _get(self, redis: Redis) -> T | None:
        json: Any = await redis.get(await self._named())
        try:
            return None if json is None else msgspec.json.decode(json, type=self._kind)
        except msgspec.DecodeError:  # an API of another release has kept it
            return None

    async def _named(self) -> str:
        # Whose value it is does not change with each request; to ask costs a statement.
        self._name = self._name or await self._find_name()
        return self._name
