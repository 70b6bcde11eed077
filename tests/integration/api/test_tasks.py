"""The routes under /api/tasks."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from integration.api.serving import MASKED_URL, WEBHOOK_URL
from tocsin_common.sealing import Sealer

Read = Callable[[str], Awaitable[Any]]
OTHER_URL = "https://discord.com/api/webhooks/987/another-token_ABCD"


@pytest.fixture
def client(shared_client: httpx.AsyncClient) -> httpx.AsyncClient:
    """One database is enough: each test makes its own task."""
    return shared_client


@pytest.fixture
def database(shared_database: asyncpg.Connection) -> asyncpg.Connection:
    return shared_database


async def test_created_task_is_answered_with_its_defaults(
    client: httpx.AsyncClient, new_task: dict[str, Any]
) -> None:
    answer = await client.post("/api/tasks", json={**new_task, "name": "  Morning "})

    task = answer.json()
    assert answer.status_code == 201
    assert list(task) == [
        "id", "name", "schedule", "timezone", "runAt", "startsAt", "endsAt", "webhookUrl", "payload", "maxRetry",
        "jitterSeconds", "catchUp", "expiresAfterSeconds", "overlap", "status", "statusReason", "createdAt",
        "updatedAt",
    ]  # fmt: skip
    assert UUID(task["id"]).version == 7
    assert (task["name"], task["maxRetry"], task["status"]) == ("Morning", 3, "ACTIVE")
    assert task["webhookUrl"] == MASKED_URL
    assert task["createdAt"] == task["updatedAt"]
    assert task["createdAt"].endswith("Z")


async def test_payload_keeps_its_order_and_spelling(client: httpx.AsyncClient, new_task: dict[str, Any]) -> None:
    payload = '{"z": 1.50, "content": "\\u00fc", "a": [1e2, "\\u00fc", {"y": null, "b": 12345678901234567890}]}'
    body = f'{{"name": "x", "schedule": "@daily", "webhookUrl": "{WEBHOOK_URL}", "payload": {payload}}}'
    created = await client.post("/api/tasks", content=body, headers={"Content-Type": "application/json"})

    answer = await client.get(f"/api/tasks/{created.json()['id']}")

    assert payload in created.text
    assert payload in answer.text


async def test_webhook_url_is_stored_sealed(task: dict[str, Any], read_row: Read, sealing_keys: str) -> None:
    row = await read_row(task["id"])

    sealer = Sealer.from_setting(sealing_keys)
    assert sealer.open(row["webhook_url_sealed"], context=UUID(task["id"]).bytes) == WEBHOOK_URL
    assert row["webhook_url_hash"] == sealer.hash(WEBHOOK_URL)
    assert row["webhook_url_masked"] == MASKED_URL
    assert row["destination"] == "discord.com/123456789012345678"


async def test_created_task_is_shown_again(client: httpx.AsyncClient, task: dict[str, Any]) -> None:
    answer = await client.get(f"/api/tasks/{task['id']}")

    assert answer.status_code == 200
    assert task.items() <= answer.json().items()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"name": " "}, "name"),
        ({"name": "n" * 101}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"schedule": 5}, "schedule"),
        ({"schedule": "* * * *"}, "schedule"),
        ({"schedule": "*/90 * * * *"}, "schedule"),
        ({"webhookUrl": "https://evil.example/x"}, "webhookUrl"),
        ({"webhookUrl": "http://127.0.0.1:8080/x"}, "webhookUrl"),
        ({"webhookUrl": None}, "webhookUrl"),
        ({"payload": {}}, "payload"),
        ({"payload": []}, "payload"),
        ({"payload": "text"}, "payload"),
        ({"payload": {"content": "a\0b"}}, "payload"),
        ({"maxRetry": 11}, "maxRetry"),
        ({"maxRetry": -1}, "maxRetry"),
        ({"maxRetry": "3"}, "maxRetry"),
        ({"maxRetry": 1.5}, "maxRetry"),
        ({"timezone": "Europe/Berlln"}, "timezone"),
        ({"startsAt": "2030-01-31"}, "startsAt"),
        ({"endsAt": "2030-01-31T09:00:00"}, "endsAt"),
        ({"jitterSeconds": 3601}, "jitterSeconds"),
        ({"catchUp": "none"}, "catchUp"),
        ({"expiresAfterSeconds": 0}, "expiresAfterSeconds"),
        ({"overlap": None}, "overlap"),
        ({"statusReason": "mine"}, "statusReason"),
        ({"status": "FAILED"}, "status"),
        ({"status": "DELETED"}, "status"),
        ({"status": None}, "status"),
        ({"id": "1"}, "id"),
        ({"webhook_url": WEBHOOK_URL}, "webhook_url"),
    ],
)
async def test_refused_field_is_named_and_nothing_is_written(
    shared_client: httpx.AsyncClient,
    new_task: dict[str, Any],
    shared_task: dict[str, Any],
    change: dict[str, Any],
    field: str,
) -> None:
    before = (await shared_client.get("/api/tasks")).json()

    created = await shared_client.post("/api/tasks", json={**new_task, **change})
    changed = await shared_client.patch(f"/api/tasks/{shared_task['id']}", json=change)

    for answer in (created, changed):
        assert answer.status_code == 400
        assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert (await shared_client.get("/api/tasks")).json() == before


@pytest.mark.parametrize("missing", ["name", "webhookUrl", "payload"])
async def test_missing_field_is_named(
    shared_client: httpx.AsyncClient, new_task: dict[str, Any], missing: str
) -> None:
    del new_task[missing]

    answer = await shared_client.post("/api/tasks", json=new_task)

    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["errors"]] == [missing]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": " Evening "}, {"name": "Evening"}),
        ({"schedule": "0  18 * * *"}, {"schedule": "0 18 * * *"}),
        ({"webhookUrl": OTHER_URL}, {"webhookUrl": "https://discord.com/api/webhooks/987/…ABCD"}),
        ({"payload": {"content": "Good evening"}}, {"payload": {"content": "Good evening"}}),
        ({"maxRetry": 0}, {"maxRetry": 0}),
        ({"status": "INACTIVE"}, {"status": "INACTIVE"}),
        ({"name": "All", "maxRetry": 10}, {"name": "All", "maxRetry": 10}),
    ],
)
async def test_patch_changes_what_was_sent_and_nothing_else(
    client: httpx.AsyncClient, task: dict[str, Any], change: dict[str, Any], expected: dict[str, Any]
) -> None:
    answer = await client.patch(f"/api/tasks/{task['id']}", json=change)

    changed = answer.json()
    assert answer.status_code == 200
    assert changed == {**task, **expected, "updatedAt": changed["updatedAt"]}
    assert datetime.fromisoformat(changed["updatedAt"]) > datetime.fromisoformat(task["updatedAt"])
    assert changed.items() <= (await client.get(f"/api/tasks/{task['id']}")).json().items()


async def test_patch_of_the_webhook_url_seals_it_anew(
    client: httpx.AsyncClient, task: dict[str, Any], read_row: Read, sealing_keys: str
) -> None:
    await client.patch(f"/api/tasks/{task['id']}", json={"webhookUrl": OTHER_URL})

    row = await read_row(task["id"])
    sealer = Sealer.from_setting(sealing_keys)
    assert sealer.open(row["webhook_url_sealed"], context=UUID(task["id"]).bytes) == OTHER_URL
    assert row["webhook_url_hash"] == sealer.hash(OTHER_URL)
    assert row["destination"] == "discord.com/987"


async def test_masked_webhook_url_sent_back_leaves_it_alone(
    client: httpx.AsyncClient, task: dict[str, Any], read_row: Read
) -> None:
    before = await read_row(task["id"])

    answer = await client.patch(f"/api/tasks/{task['id']}", json={"name": "New", "webhookUrl": MASKED_URL})

    after = await read_row(task["id"])
    assert answer.status_code == 200
    assert after["name"] == "New"
    assert after["webhook_url_sealed"] == before["webhook_url_sealed"]


async def test_masked_webhook_url_of_another_task_is_refused(
    client: httpx.AsyncClient, task: dict[str, Any]
) -> None:
    answer = await client.patch(
        f"/api/tasks/{task['id']}", json={"webhookUrl": MASKED_URL.replace("WXYZ", "ABCD")}
    )

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "webhookUrl"


@pytest.mark.parametrize(
    ("before", "after"), [("ACTIVE", "INACTIVE"), ("INACTIVE", "ACTIVE"), ("FAILED", "ACTIVE")]
)
async def test_toggle_stops_an_active_task_and_starts_another(
    client: httpx.AsyncClient,
    task: dict[str, Any],
    database: asyncpg.Connection,
    read_row: Read,
    before: str,
    after: str,
) -> None:
    await database.execute(
        "UPDATE tasks SET status = $1, status_reason = 'gone' WHERE id = $2", before, task["id"]
    )

    answer = await client.post(f"/api/tasks/{task['id']}/toggle")

    row = await read_row(task["id"])
    assert answer.status_code == 200
    assert answer.json()["status"] == row["status"] == after
    assert row["status_reason"] is None


async def test_edit_of_a_failed_task_keeps_its_status_and_reason(
    client: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection, read_row: Read
) -> None:
    await database.execute("UPDATE tasks SET status = 'FAILED', status_reason = 'gone' WHERE id = $1", task["id"])

    answer = await client.patch(f"/api/tasks/{task['id']}", json={"name": "New"})

    assert answer.json()["status"] == "FAILED"
    assert (await read_row(task["id"]))["status_reason"] == "gone"


async def test_deleted_task_is_answered_once_and_gone_for_every_read(
    client: httpx.AsyncClient, task: dict[str, Any], read_row: Read
) -> None:
    path = f"/api/tasks/{task['id']}"

    answer = await client.delete(path)

    assert answer.status_code == 200
    assert answer.json() == {**task, "updatedAt": answer.json()["updatedAt"]}
    assert (await read_row(task["id"]))["status"] == "DELETED"
    for query in ("", "&status=ACTIVE"):
        listed = (await client.get(f"/api/tasks?limit=100{query}")).json()["data"]
        assert task["id"] not in [each["id"] for each in listed]
    for gone in (
        await client.get(path),
        await client.patch(path, json={"name": "x"}),
        await client.delete(path),
        await client.post(f"{path}/toggle"),
        await client.post(f"{path}/run"),
        await client.post(f"{path}/test"),
        await client.get(f"{path}/logs"),
    ):
        assert gone.status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/toggle"),
        ("POST", "/run"),
        ("POST", "/test"),
        ("GET", "/logs"),
    ],
)
@pytest.mark.parametrize(("task_id", "status"), [("00000000-0000-4000-8000-000000000000", 404), ("no-uuid", 400)])
async def test_task_that_is_not_there_is_an_error(
    shared_client: httpx.AsyncClient, method: str, path: str, task_id: str, status: int
) -> None:
    answer = await shared_client.request(
        method, f"/api/tasks/{task_id}{path}", json={} if method == "PATCH" else None
    )

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
