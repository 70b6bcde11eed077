"""A value that is made once for all who ask."""

import asyncio

import pytest

from tocsin_api.cached import Cached
from tocsin_api.kept import Kept
from tocsin_api.shared import Shared


class Counter:
    """Makes 1, 2, 3 …, each when `free` is set."""

    def __init__(self) -> None:
        self.made = 0
        self.free = asyncio.Event()
        self.begun = asyncio.Event()
        self.error: Exception | None = None

    async def make(self) -> int:
        self.begun.set()
        await self.free.wait()
        self.made += 1
        if self.error is not None:
            raise self.error
        return self.made


def cached_alone(counter: Counter, *, keep_s: float) -> Cached[int]:
    """In memory."""
    return Cached(counter.make, Kept(Shared(""), no_name, int, keep_s=keep_s))


async def no_name() -> str:
    raise AssertionError("asked for the name, and there is no Redis")


@pytest.fixture
async def counter() -> Counter:
    return Counter()


async def test_value_is_made_once_for_all_who_ask_meanwhile(counter: Counter) -> None:
    cached = cached_alone(counter, keep_s=60)
    asking = [asyncio.create_task(cached.get()) for _ in range(100)]
    await counter.begun.wait()

    counter.free.set()

    assert await asyncio.gather(*asking) == [1] * 100


async def test_value_is_kept_for_a_while(counter: Counter) -> None:
    counter.free.set()
    cached = cached_alone(counter, keep_s=60)

    assert [await cached.get(), await cached.get()] == [1, 1]


async def test_value_that_is_too_old_is_made_anew(counter: Counter) -> None:
    counter.free.set()
    cached = cached_alone(counter, keep_s=0)

    assert [await cached.get(), await cached.get()] == [1, 2]


async def test_who_asked_first_may_go_away(counter: Counter) -> None:
    cached = cached_alone(counter, keep_s=60)
    first, second = asyncio.create_task(cached.get()), asyncio.create_task(cached.get())
    await counter.begun.wait()

    first.cancel()
    await asyncio.wait([first])
    counter.free.set()

    assert first.cancelled()
    assert await second == 1


async def test_error_reaches_all_who_wait_and_is_not_kept(counter: Counter) -> None:
    cached = cached_alone(counter, keep_s=60)
    counter.error = OSError("away")
    asking = [asyncio.create_task(cached.get()) for _ in range(3)]
    await counter.begun.wait()
    counter.free.set()

    errors = await asyncio.gather(*asking, return_exceptions=True)
    counter.error = None

    assert [str(error) for error in errors] == ["away"] * 3
    assert await cached.get() == 2
