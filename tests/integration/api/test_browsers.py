"""What browsers are told: whose pages may use the API, and what they must not do with its answers."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from integration.api.serving import send_without_key, serve
from tocsin_common.settings import ApiSettings

PAGE = "https://tocsin.example"
ALLOWED = "access-control-allow-origin"


@pytest.fixture
async def production(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """An API in production, for pages of one origin."""
    changed = msgspec.structs.replace(settings, environment="production", allowed_origins=PAGE)
    async with serve(changed) as client:
        yield client


def preflight(client: httpx.AsyncClient, origin: str, path: str = "/api/tasks", method: str = "PATCH") -> Any:
    return send_without_key(
        client,
        "OPTIONS",
        path,
        {
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "x-api-key,content-type",
        },
    )


async def test_page_of_an_allowed_origin_may_ask_and_read(production: httpx.AsyncClient) -> None:
    asked = await preflight(production, PAGE)
    answer = await production.get("/api/tasks", headers={"Origin": PAGE})

    assert asked.status_code == 204
    assert asked.content == b""
    assert {"GET", "POST", "PATCH", "DELETE"} == set(asked.headers["access-control-allow-methods"].split(", "))
    assert {"X-API-KEY", "Authorization", "Content-Type", "Idempotency-Key", "If-Match"} <= set(
        asked.headers["access-control-allow-headers"].split(", ")
    )
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
    for each in (asked, answer):
        assert each.headers[ALLOWED] == PAGE
        assert each.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in each.headers
        assert each.headers["x-request-id"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://tocsin.example.evil.example",
        "https://evil.tocsin.example",
        "http://tocsin.example",
        "https://tocsin.example:444",
        "http://localhost:5173",
        "null",
        "*",
        "",
    ],
)
async def test_page_of_another_origin_may_not(production: httpx.AsyncClient, origin: str) -> None:
    asked = await preflight(production, origin)
    answer = await production.get("/api/tasks", headers={"Origin": origin})

    for each in (asked, answer):
        assert not [name for name in each.headers if name.startswith("access-control-")]
        assert each.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("http://localhost", True),
        ("http://localhost:5173", True),
        ("https://app.localhost:8443", True),
        ("http://127.0.0.1:3000", True),
        ("http://[::1]:3000", True),
        ("http://localhost.evil.example", False),
        ("http://evillocalhost", False),
        ("http://localhost:5173.evil.example", False),
        ("ftp://localhost", False),
        ("null", False),
    ],
)
async def test_development_allows_any_page_of_this_machine(
    shared_client: httpx.AsyncClient, origin: str, is_allowed: bool
) -> None:
    answer = await shared_client.get("/health/live", headers={"Origin": origin})

    assert answer.headers.get(ALLOWED) == (origin if is_allowed else None)


async def test_every_origin_may_be_allowed(settings: ApiSettings) -> None:
    async with serve(msgspec.structs.replace(settings, allowed_origins="*")) as client:
        answers = [
            await client.get("/api/tasks", headers={"Origin": "https://any.example"}),
            await preflight(client, "https://any.example"),
        ]

    assert [answer.headers[ALLOWED] for answer in answers] == ["*", "*"]


async def test_page_can_read_why_it_was_refused(settings: ApiSettings, database: asyncpg.Connection) -> None:
    changed = msgspec.structs.replace(settings, allowed_origins=PAGE, address_rate_limit_per_minute=2)
    async with serve(changed) as client:
        answers = [await send_without_key(client, "GET", "/api/tasks", {"Origin": PAGE}) for _ in range(3)]
        answers.append(await client.get("/api/nothing", headers={"Origin": PAGE}))
        await database.execute("DROP TABLE tasks")
        answers.append(await client.get("/api/tasks", headers={"Origin": PAGE}))

    assert [answer.status_code for answer in answers] == [401, 401, 429, 404, 500]
    assert {answer.headers[ALLOWED] for answer in answers} == {PAGE}


async def test_preflights_use_up_no_limit(settings: ApiSettings) -> None:
    changed = msgspec.structs.replace(settings, allowed_origins=PAGE, address_rate_limit_per_minute=1)
    async with serve(changed) as client:
        statuses = [(await preflight(client, PAGE)).status_code for _ in range(5)]

    assert statuses == [204] * 5


@pytest.mark.parametrize("path", ["/api/tasks", "/api/nothing", "/health/live", "/api/docs-json", "/api/docs"])
@pytest.mark.parametrize("has_key", [True, False])
async def test_every_answer_has_the_headers_that_keep_browsers_in_check(
    shared_client: httpx.AsyncClient, path: str, has_key: bool
) -> None:
    answer = await (shared_client.get(path) if has_key else send_without_key(shared_client, "GET", path))

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == ("max-age=300" if path.startswith("/api/docs") else "no-store")
    assert len(answer.headers.get_list("content-security-policy")) == 1
