"""Counts of requests: in Redis for all APIs together, in memory while that is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from redis.asyncio import Redis

from integration.api.serving import send_without_key, serve
from relay import Relay
from tocsin_api.counts import PREFIX, Counts
from tocsin_api.shared import Shared, look_at
from tocsin_common.settings import ApiSettings
from waiting import eventually


@pytest.fixture
def who() -> str:
    """Somebody whom no other test counts."""
    return uuid4().hex


@pytest.fixture
async def relay(redis_url: str) -> AsyncIterator[Relay]:
    async with Relay(redis_url) as relay:
        yield relay


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A connection, to arrange and to look."""
    async with Redis.from_url(redis_url) as redis:
        yield redis


@asynccontextmanager
async def counting(url: str, **settings: float) -> AsyncIterator[Counts]:
    async with Shared(url, **settings) as shared:
        yield Counts(shared)


def events(log: list[dict[str, Any]]) -> list[str]:
    return [line["event"] for line in log if line["event"].startswith("redis.")]


@pytest.mark.parametrize("is_shared", [True, False])
async def test_what_two_processes_count_is_one_count_in_redis_alone(
    redis_url: str, who: str, is_shared: bool
) -> None:
    url = redis_url if is_shared else ""
    async with counting(url) as counts, counting(url) as other:
        tallies = [await each.count("address", who) for each in (counts, other, counts, other)]

    assert [tally.used for tally in tallies] == ([1, 2, 3, 4] if is_shared else [1, 1, 2, 2])
    assert all(55 < tally.seconds_left <= 60 for tally in tallies)


async def test_kinds_are_counted_apart(redis_url: str, who: str) -> None:
    async with counting(redis_url) as counts:
        assert [(await counts.count(kind, who)).used for kind in ("address", "key", "address")] == [1, 1, 2]


async def test_window_ends_by_itself_and_another_one_begins(redis_url: str, redis: Redis, who: str) -> None:
    async with counting(redis_url) as counts:
        await counts.count("address", who)
        await redis.pexpire(f"{PREFIX}:address:{who}", 200)
        second = await counts.count("address", who)

        async def is_new() -> bool:
            return (await counts.count("address", who)).used == 1

        await eventually(is_new, timeout_s=10)

    assert second.used == 2
    assert 0 <= second.seconds_left <= 0.2


async def test_no_request_at_the_same_time_is_lost(redis_url: str, who: str) -> None:
    async with counting(redis_url) as counts:
        tallies = await asyncio.gather(*(counts.count("address", who) for _ in range(100)))

    assert sorted(tally.used for tally in tallies) == list(range(1, 101))


async def test_while_redis_is_away_it_counts_in_memory_and_says_so_once(
    relay: Relay, who: str, log: list[dict[str, Any]]
) -> None:
    async with counting(relay.url, try_again_s=0.01) as counts:
        before = [(await counts.count("address", who)).used for _ in range(2)]
        await relay.cut()
        away = [(await counts.count("address", who)).used for _ in range(5)]
        await asyncio.gather(*(counts.count("address", "others") for _ in range(20)))
        said = events(log)
        await relay.restore()

        async def is_back() -> bool:
            return (await counts.count("address", who)).used == 3

        await eventually(is_back, timeout_s=10)

    assert before == [1, 2]
    assert away == [1, 2, 3, 4, 5]
    assert said == ["redis.unavailable"]
    assert events(log) == ["redis.unavailable", "redis.connected"]


async def test_frozen_redis_holds_requests_up_no_longer_than_a_moment(relay: Relay, who: str) -> None:
    async with counting(relay.url) as counts:
        await counts.count("address", who)
        relay.freeze()
        async with asyncio.timeout(2):
            tallies = [await counts.count("address", who) for _ in range(100)]
        relay.thaw()

    assert [tally.used for tally in tallies] == list(range(1, 101))


async def test_connections_that_redis_ended_are_replaced_and_nobody_notices(
    relay: Relay, who: str, log: list[dict[str, Any]]
) -> None:
    async with counting(relay.url) as counts:
        await counts.count("address", who)
        await relay.cut()
        await relay.restore()

        assert (await counts.count("address", who)).used == 2
    assert events(log) == []


async def test_redis_that_refuses_the_password_counts_as_away(
    redis_url: str, who: str, log: list[dict[str, Any]]
) -> None:
    wrong = redis_url.replace("redis://:", "redis://:not-")
    if wrong == redis_url:
        pytest.skip("this Redis asks for no password")
    async with counting(wrong) as counts:
        assert (await counts.count("address", who)).used == 1

    assert events(log) == ["redis.unavailable"]
    assert "not-" not in str(log)


async def test_apis_limit_together(settings: ApiSettings, redis_url: str) -> None:
    changed = msgspec.structs.replace(
        settings, redis_url=redis_url, address_rate_limit_per_minute=3, trusted_proxies="127.0.0.1"
    )
    address = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"
    async with serve(changed) as client, serve(changed) as other:
        statuses = [
            (await send_without_key(each, "GET", "/api/tasks", {"X-Forwarded-For": address})).status_code
            for each in (client, other, client, other, client)
        ]

    assert statuses == [401, 401, 401, 429, 429]


async def test_the_doctor_finds_that_redis_is_well(redis_url: str) -> None:
    found = await look_at(redis_url)

    assert (found.what, found.state) == ("Redis", "ok")


async def test_the_doctor_names_a_login_that_redis_refuses(redis_url: str) -> None:
    url = redis_url.replace("redis://", "redis://nobody:a-password-that-nobody-may-see@")

    found = await look_at(url)

    assert found.state == "WRONG"
    assert found.says.startswith("it refuses the login")
    assert "nobody" not in found.says


async def test_the_doctor_says_that_redis_is_away(relay: Relay) -> None:
    await relay.cut()

    found = await look_at(relay.url)

    assert found.state == "WRONG"
    assert found.says.startswith("it does not answer (ConnectionError)")
