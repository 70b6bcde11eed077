"""How often the API may be asked, by whom."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import httpx
import msgspec
import pytest

from integration.api.serving import API_KEY, send_without_key, serve
from tocsin_common.settings import ApiSettings

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def serving(settings: ApiSettings) -> Serve:
    """Starts an API with some settings of its own."""
    return lambda **changes: serve(msgspec.structs.replace(settings, **changes))


@pytest.fixture
async def strict(serving: Serve) -> AsyncIterator[httpx.AsyncClient]:
    """An API that lets no address have more than 3 requests a minute without a key."""
    async with serving(address_rate_limit_per_minute=3) as client:
        yield client


async def ask(client: httpx.AsyncClient, times: int, path: str = "/api/tasks", **headers: str) -> list[int]:
    return [(await send_without_key(client, "GET", path, headers)).status_code for _ in range(times)]


async def test_address_without_a_key_may_ask_so_often(strict: httpx.AsyncClient) -> None:
    answers = [await send_without_key(strict, "GET", "/api/tasks") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert answers[0].headers["ratelimit-policy"] == '"address";q=3;w=60'
    refusal = answers[3]
    assert refusal.headers["content-type"] == "application/problem+json"
    assert 0 < int(refusal.headers["retry-after"]) <= 60
    assert refusal.json()["statusCode"] == 429
    assert refusal.json()["requestId"] == refusal.headers["x-request-id"]
    assert refusal.json()["instance"] == "/api/tasks"


@pytest.mark.parametrize("path", ["/api/docs-json", "/api/nothing", "//api/tasks", "/"])
async def test_whatever_is_asked_for_without_a_key_counts(strict: httpx.AsyncClient, path: str) -> None:
    await ask(strict, 3, path)

    assert await ask(strict, 1, "/api/docs") == [429]


async def test_a_wrong_key_is_none(strict: httpx.AsyncClient) -> None:
    statuses = await ask(strict, 4, **{"X-API-KEY": "wrong"})

    assert statuses == [401, 401, 401, 429]


async def test_who_has_a_valid_key_is_not_held_up_by_others_at_his_address(strict: httpx.AsyncClient) -> None:
    assert await ask(strict, 4) == [401, 401, 401, 429]

    answers = [await strict.get("/api/tasks") for _ in range(10)]

    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit" not in answers[0].headers


async def test_health_is_never_refused(strict: httpx.AsyncClient) -> None:
    assert set(await ask(strict, 10, "/health/live")) == {200}


async def test_of_a_hundred_and_one_requests_the_last_is_refused(serving: Serve) -> None:
    async with serving(address_rate_limit_per_minute=100) as client:
        statuses = await ask(client, 101)

    assert statuses == [*[401] * 100, 429]


async def test_each_key_has_a_limit_of_its_own(serving: Serve) -> None:
    async with serving(rate_limit_per_minute=3) as client:
        made = await client.post("/api/keys", json={"name": "x", "scopes": ["read"]})
        other = made.json()["key"]

        statuses = [await ask(client, 4, **{"X-API-KEY": key}) for key in (other, API_KEY)]
        answer = await client.get("/api/tasks")

    assert statuses == [[200, 200, 200, 429], [200, 200, 429, 429]]
    assert made.headers["ratelimit"].startswith('"key";r=2;t=')
    assert answer.json()["detail"].startswith("more than 3 requests a minute with this API key")


async def test_proxies_that_are_not_trusted_are_clients(strict: httpx.AsyncClient) -> None:
    statuses = [await ask(strict, 1, **{"X-Forwarded-For": f"192.0.2.{number}"}) for number in range(4)]

    assert statuses == [[401], [401], [401], [429]]


async def test_clients_of_a_trusted_proxy_count_one_by_one(serving: Serve) -> None:
    async with serving(address_rate_limit_per_minute=3, trusted_proxies="127.0.0.0/8") as client:
        statuses = {
            address: await ask(client, 4, **{"X-Forwarded-For": f"192.0.2.20{address}, 192.0.2.10{address}"})
            for address in (1, 2)
        }

    assert statuses == {1: [401, 401, 401, 429], 2: [401, 401, 401, 429]}
