"""API keys: what each may do, from when to when it is valid, and what is kept and shown of it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest

from integration.api.serving import API_KEY, send_without_key, serve, task_body
from relay import Relay
from tocsin_api.access import SCOPES, Scope
from tocsin_api.key_ring import KeyRing
from tocsin_common.settings import ApiSettings
from waiting import eventually

UNKNOWN = f"tocsin_{'x' * 43}"
REQUESTS: dict[Scope, list[str]] = {
    "read": ["GET /api/tasks", "GET /api/logs", "GET /api/scheduler"],
    "write": ["POST /api/tasks", "POST /api/scheduler/resume", "DELETE /api/tasks/x"],
    "admin": ["GET /api/keys", "DELETE /api/keys/x"],
}


async def make_key(client: httpx.AsyncClient, *scopes: str, **more: Any) -> dict[str, Any]:
    answer = await client.post(
        "/api/keys", json={"name": "of this test", "scopes": list(scopes) or ["read"], **more}
    )
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def status(client: httpx.AsyncClient, key: str, method: str = "GET", path: str = "/api/tasks") -> int:
    return (await client.request(method, path, headers={"X-API-KEY": key}, json=task_body())).status_code


@pytest.fixture
async def other(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another API on the same database."""
    async with serve(settings) as client:
        yield client


@pytest.fixture
async def relay(database_url: str) -> AsyncIterator[Relay]:
    async with Relay(database_url) as relay:
        yield relay


@pytest.mark.parametrize("scope", SCOPES)
async def test_key_may_do_what_its_scope_says(shared_client: httpx.AsyncClient, scope: Scope) -> None:
    key = (await make_key(shared_client, scope))["key"]

    statuses = {
        (wanted, request): await status(shared_client, key, *request.split())
        for wanted, requests in REQUESTS.items()
        for request in requests
    }

    included = SCOPES[: SCOPES.index(scope) + 1]
    refused = {request for request, status in statuses.items() if status == 403}
    assert refused == {(wanted, request) for wanted, request in statuses if wanted not in included}
    assert 401 not in statuses.values()


async def test_refusal_for_its_scope_says_which_one_is_needed(shared_client: httpx.AsyncClient) -> None:
    key = (await make_key(shared_client, "read"))["key"]

    answer = await shared_client.post("/api/tasks", json=task_body(), headers={"X-API-KEY": key})

    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "this needs an API key with the scope write"
    assert answer.headers["www-authenticate"] == 'Bearer realm="tocsin", error="insufficient_scope", scope="write"'


async def test_path_that_leads_nowhere_is_404_with_and_without_a_key(shared_client: httpx.AsyncClient) -> None:
    key = (await make_key(shared_client, "read"))["key"]

    answers = [
        await send_without_key(shared_client, "GET", "/api/nothing"),
        await send_without_key(shared_client, "GET", "/api/nothing", {"X-API-KEY": UNKNOWN}),
        await send_without_key(shared_client, "GET", "/api/nothing", {"X-API-KEY": key}),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_key_may_be_sent_as_bearer(shared_client: httpx.AsyncClient, scheme: str) -> None:
    key = (await make_key(shared_client))["key"]

    answers = [
        await send_without_key(shared_client, "GET", "/api/tasks", {"Authorization": f"{scheme} {each}"})
        for each in (key, API_KEY, UNKNOWN)
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 401]
    assert 'error="invalid_token"' in answers[2].headers["www-authenticate"]


async def test_one_key_in_both_headers_is_one_and_two_are_none(shared_client: httpx.AsyncClient) -> None:
    key = (await make_key(shared_client))["key"]

    same = await shared_client.get("/api/tasks", headers={"Authorization": f"Bearer {API_KEY}"})
    different = await shared_client.get("/api/tasks", headers={"Authorization": f"Bearer {key}"})

    assert same.status_code == 200
    assert different.status_code == 401
    assert "send one" in different.json()["detail"]


async def test_request_without_a_key_is_not_told_that_it_is_invalid(shared_client: httpx.AsyncClient) -> None:
    answer = await send_without_key(shared_client, "GET", "/api/tasks")

    assert answer.headers["www-authenticate"] == 'Bearer realm="tocsin", ApiKey header="X-API-KEY"'


async def test_key_is_shown_once(client: httpx.AsyncClient) -> None:
    created = await make_key(client, "write", name="deployments", expiresAt="2030-01-31T01:00:00+01:00")

    listed = await client.get("/api/keys")
    deleted = await client.delete(f"/api/keys/{created['id']}")

    key = created.pop("key")
    assert listed.json() == {"data": [created], "meta": {"page": 1, "limit": 20, "total": 1, "totalPages": 1}}
    assert deleted.json() == created
    assert created["expiresAt"] == "2030-01-31T00:00:00Z"
    assert created["hint"] == f"tocsin_…{key[-4:]}"
    assert key not in listed.text + deleted.text


async def test_nothing_may_keep_the_answer_that_shows_a_key(shared_client: httpx.AsyncClient) -> None:
    answer = await shared_client.post("/api/keys", json={"name": "x", "scopes": ["read"]})

    assert answer.headers["cache-control"] == "no-store"


async def test_key_itself_is_not_stored(client: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    key = (await make_key(client))["key"]

    row = await database.fetchrow("SELECT * FROM api_keys")

    stored = str(dict(row.items()))
    assert key not in stored
    assert key.removeprefix("tocsin_")[:20] not in stored
    assert key.encode() not in row["key_hash"]


async def test_deleted_key_is_refused_here_at_once(client: httpx.AsyncClient) -> None:
    created = await make_key(client)
    before = await status(client, created["key"])

    deleted = await client.delete(f"/api/keys/{created['id']}")
    after = await status(client, created["key"])
    again = await client.delete(f"/api/keys/{created['id']}")

    assert (before, deleted.status_code, after, again.status_code) == (200, 200, 401, 404)


async def test_deleted_key_is_refused_by_other_apis_soon(
    client: httpx.AsyncClient, other: httpx.AsyncClient
) -> None:
    created = await make_key(client)
    assert await status(other, created["key"]) == 200

    await client.delete(f"/api/keys/{created['id']}")

    async def is_refused() -> bool:
        return await status(other, created["key"]) == 401

    await eventually(is_refused, timeout_s=10)


async def test_new_key_is_taken_by_other_apis_at_once(client: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
    for _ in range(3):
        await status(other, UNKNOWN)
        created = await make_key(client)

        assert await status(other, created["key"]) == 200


async def test_key_ends_when_it_was_to_end(client: httpx.AsyncClient) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    created = await make_key(client, expiresAt=soon.isoformat())
    at_first = await status(client, created["key"])

    async def is_refused() -> bool:
        return await status(client, created["key"]) == 401

    await eventually(is_refused, timeout_s=10)
    assert at_first == 200
    assert datetime.now(UTC) >= soon
    assert [each["id"] for each in (await client.get("/api/keys")).json()["data"]] == [created["id"]]


async def test_key_that_would_have_ended_already_is_refused(shared_client: httpx.AsyncClient) -> None:
    answer = await shared_client.post(
        "/api/keys", json={"name": "x", "scopes": ["read"], "expiresAt": "2020-01-31T00:00:00Z"}
    )

    assert answer.status_code == 400
    assert "by the database's clock" in answer.json()["detail"]
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/expiresAt"]


async def test_scopes_that_are_none_are_refused_with_what_they_may_be(shared_client: httpx.AsyncClient) -> None:
    answer = await shared_client.post("/api/keys", json={"name": "x", "scopes": []})

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("scopes: must be a list of one or more of read, write")


async def test_there_is_a_bound_to_the_number_of_keys(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await database.execute(
        "INSERT INTO api_keys (id, name, hint, key_hash, scopes)"
        " SELECT gen_random_uuid(), 'x', 'x', int4send(n), ARRAY['read'] FROM generate_series(1, 1000) AS n"
    )

    answer = await client.post("/api/keys", json={"name": "x", "scopes": ["read"]})

    assert answer.status_code == 409
    assert (await client.get("/api/keys", params={"page": 50})).json()["meta"]["total"] == 1000


async def test_use_of_a_key_is_noted_and_not_at_each_request(
    settings: ApiSettings, database: asyncpg.Connection
) -> None:
    async def used() -> datetime | None:
        found: datetime | None = await database.fetchval("SELECT last_used_at FROM api_keys")
        return found

    async with serve(settings) as client:
        key = (await make_key(client))["key"]
        unused = (await client.get("/api/keys")).json()["data"][0]["lastUsedAt"]
        await status(client, key)
        await eventually(used)
        await database.execute("UPDATE api_keys SET last_used_at = NULL")
        for _ in range(5):
            await status(client, key)

    assert unused is None
    assert await used() is None  # the API has ended, and with it whatever it was writing


async def test_use_that_another_api_has_just_noted_is_not_noted_again(
    settings: ApiSettings, database: asyncpg.Connection
) -> None:
    async with serve(settings) as client:
        key = (await make_key(client))["key"]
        noted = await database.fetchval(
            "UPDATE api_keys SET last_used_at = clock_timestamp() RETURNING last_used_at"
        )
        await status(client, key)

    assert await database.fetchval("SELECT last_used_at FROM api_keys") == noted


async def test_first_key_works_without_postgresql_and_others_are_503(settings: ApiSettings, relay: Relay) -> None:
    preview = "/api/schedules/preview?schedule=@daily"
    async with serve(msgspec.structs.replace(settings, database_url=relay.url)) as client:
        await relay.cut()
        first = await client.get(preview)
        unknown = await client.get(preview, headers={"X-API-KEY": UNKNOWN})
        none = await send_without_key(client, "GET", preview)
        wrong = await client.get(preview, headers={"X-API-KEY": "no key of ours"})

    assert (first.status_code, unknown.status_code) == (200, 503)
    assert int(unknown.headers["retry-after"]) > 0
    assert unknown.json()["requestId"] == unknown.headers["x-request-id"]
    assert (none.status_code, wrong.status_code) == (401, 401)


async def test_keys_that_nobody_has_share_a_few_statements(database_url: str) -> None:
    async with asyncpg.create_pool(database_url, min_size=1) as pool:
        asked: list[float] = []

        def acquire(*, timeout: float) -> Any:
            asked.append(timeout)
            return pool.acquire(timeout=timeout)

        async with KeyRing(SimpleNamespace(acquire=acquire), API_KEY) as ring:
            keys = [f"tocsin_{number:043}".encode() for number in range(500)]
            found = await asyncio.gather(*(ring.find(key) for key in keys))

    assert set(found) == {None}
    assert len(asked) <= 2


async def test_what_cannot_be_a_key_of_ours_costs_no_statement() -> None:
    async with KeyRing(None, API_KEY) as ring:
        assert await ring.find(b"tocsin_too-short") is None


@pytest.mark.parametrize("key_id", ["1", str(UUID(int=1))])
async def test_key_that_is_not_there_cannot_be_deleted(shared_client: httpx.AsyncClient, key_id: str) -> None:
    answer = await shared_client.delete(f"/api/keys/{key_id}")

    assert answer.status_code == (400 if key_id == "1" else 404)


async def test_bug_on_the_way_to_a_key_is_answered_with_the_request_id_and_nothing_from_inside(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await database.execute("DROP TABLE api_keys")

    answer = await client.get("/api/tasks", headers={"X-API-KEY": UNKNOWN})

    assert answer.status_code == 500
    assert answer.json()["requestId"] == answer.headers["x-request-id"]
    assert answer.json()["detail"] == "the server failed; its log tells more under this request's id"
    assert "relation" not in answer.text
