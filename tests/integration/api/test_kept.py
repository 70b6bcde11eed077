"""Values that are kept: in Redis for all APIs together, in memory while that is away."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from integration.api.serving import serve, task_body
from relay import Relay
from tocsin_api.kept import Kept
from tocsin_api.shared import Shared
from tocsin_common.settings import ApiSettings
from waiting import eventually

STATS = "/api/tasks/dashboard/stats"
Name = Callable[[], Awaitable[str]]


@pytest.fixture
def name() -> Name:
    """Of a value that no other test keeps."""
    text = f"tocsin:kept:{uuid4().hex}"

    async def find() -> str:
        return text

    return find


@pytest.fixture
async def relay(redis_url: str) -> AsyncIterator[Relay]:
    async with Relay(redis_url) as relay:
        yield relay


async def test_what_one_has_kept_another_finds(redis_url: str, name: Name) -> None:
    async with Shared(redis_url) as shared, Shared(redis_url) as others:
        kept, other = (Kept(each, name, dict, keep_s=60) for each in (shared, others))
        before = await other.find()
        await kept.keep({"made": 1})

        assert (before, await other.find()) == (None, {"made": 1})


async def test_of_two_that_were_made_at_once_both_show_the_first(redis_url: str, name: Name) -> None:
    async with Shared(redis_url) as shared:
        first, second = (Kept(shared, name, int, keep_s=60) for _ in range(2))

        assert [await first.keep(1), await second.keep(2), await first.find()] == [1, 1, 1]


async def test_name_is_asked_for_once(redis_url: str, name: Name) -> None:
    asked: list[str] = []

    async def find() -> str:
        asked.append(await name())
        return asked[-1]

    async with Shared(redis_url) as shared:
        kept = Kept(shared, find, int, keep_s=60)
        values = [await kept.find(), await kept.keep(1), await kept.find()]

    assert values == [None, 1, 1]
    assert len(asked) == 1


async def test_value_is_kept_no_longer_than_it_may_be(redis_url: str, name: Name) -> None:
    async with Shared(redis_url) as shared:
        kept = Kept(shared, name, int, keep_s=0.05)
        await kept.keep(1)

        async def is_gone() -> bool:
            return await kept.find() is None

        await eventually(is_gone, timeout_s=10)


async def test_what_an_api_of_another_release_has_kept_is_not_shown(redis_url: str, name: Name) -> None:
    async with Shared(redis_url) as shared, Redis.from_url(redis_url) as redis:
        await redis.set(await name(), b'{"made": "long ago"}', px=60_000)
        kept = Kept(shared, name, int, keep_s=60)

        assert (await kept.find(), await kept.keep(2)) == (None, 2)


async def test_while_redis_is_away_each_keeps_its_own(relay: Relay, name: Name) -> None:
    async with Shared(relay.url) as shared, Shared(relay.url) as others:
        kept, other = (Kept(each, name, int, keep_s=60) for each in (shared, others))
        await relay.cut()
        values = [await kept.find(), await kept.keep(1), await kept.find(), await other.find()]

    assert values == [None, 1, 1, None]


async def test_apis_of_one_database_show_the_same_figures_and_of_another_none_of_them(
    settings: ApiSettings, redis_url: str, shared_client: httpx.AsyncClient, shared_database_url: str
) -> None:
    with_redis = msgspec.structs.replace(settings, redis_url=redis_url)
    elsewhere = msgspec.structs.replace(with_redis, database_url=shared_database_url)
    await shared_client.post("/api/tasks", json=task_body())
    async with serve(with_redis) as client, serve(with_redis) as other, serve(elsewhere) as stranger:
        first = await client.get(STATS)
        await client.post("/api/tasks", json=task_body())
        second, strange = await other.get(STATS), await stranger.get(STATS)

    assert (first.json()["total"], strange.json()["total"]) == (0, 1)
    assert second.text == first.text


async def test_figures_are_shown_while_redis_is_away(settings: ApiSettings, relay: Relay) -> None:
    async with serve(msgspec.structs.replace(settings, redis_url=relay.url)) as client:
        await client.get(STATS)
        await relay.cut()
        answers = [await client.get(STATS) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.text for answer in answers}) == 1
