"""A payload for a webhook that speaks Discord's API is a message that Discord takes; others may be anything."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from integration.api.serving import MASKED_URL, WEBHOOK_URL, api_settings, serve

LONG_VALUE = {"embeds": [{"fields": [{"name": "n", "value": "v"}] * 3 + [{"name": "n", "value": "v" * 1203}]}]}
NAMED = {
    "field": "payload/embeds/0/fields/3/value",
    "message": "1203 characters, at most 1024",
    "pointer": "/payload/embeds/0/fields/3/value",
}
OTHER_URL = "https://hooks.example.com/in/secret"
LOCAL_URL = "http://127.0.0.1:8080/api/webhooks/1/secret"
FORM = {"text": "hi"}
"""What some other receiver takes."""

Read = Callable[[str], Awaitable[Any]]


@pytest.fixture
async def client(database_url: str, sealing_keys: str) -> AsyncIterator[httpx.AsyncClient]:
    """Of an API whose operator allows another host, and webhooks of this machine."""
    settings = msgspec.structs.replace(
        api_settings(database_url, sealing_keys),
        allowed_webhook_hosts="hooks.example.com",
        allow_local_webhooks=True,
    )
    async with serve(settings) as client:
        yield client


async def create(client: httpx.AsyncClient, new_task: dict[str, Any], **fields: Any) -> str:
    answer = await client.post("/api/tasks", json={**new_task, **fields})
    assert answer.status_code == 201, answer.text
    return f"/api/tasks/{answer.json()['id']}"


@pytest.mark.parametrize("url", [WEBHOOK_URL, LOCAL_URL])
async def test_each_violation_is_named_with_its_place_and_nothing_is_written(
    client: httpx.AsyncClient, new_task: dict[str, Any], url: str
) -> None:
    payload = LONG_VALUE | {"tts": "yes"}

    answer = await client.post("/api/tasks", json={**new_task, "name": "", "webhookUrl": url, "payload": payload})

    problem = answer.json()
    assert answer.status_code == 400
    assert [each["field"] for each in problem["errors"]] == ["name", "payload/tts", NAMED["field"]]
    assert NAMED in problem["errors"]
    assert "payload/embeds/0/fields/3/value: 1203 characters, at most 1024" in problem["detail"]
    assert (await client.get("/api/tasks")).json()["meta"]["total"] == 0


async def test_number_of_violations_that_are_named_is_bounded(
    client: httpx.AsyncClient, new_task: dict[str, Any]
) -> None:
    payload = {"embeds": [{"fields": [{}] * 25}] * 10}

    answer = await client.post("/api/tasks", json={**new_task, "payload": payload})

    assert answer.status_code == 400
    assert len(answer.json()["errors"]) == 50
    assert answer.json()["detail"].endswith("; and 450 more")


async def test_other_receivers_take_any_object(client: httpx.AsyncClient, new_task: dict[str, Any]) -> None:
    task = await create(client, new_task, webhookUrl=OTHER_URL, payload=FORM)

    changed = await client.patch(task, json={"payload": LONG_VALUE})

    assert changed.status_code == 200
    assert changed.json()["payload"] == LONG_VALUE


@pytest.mark.parametrize("url", [{}, {"webhookUrl": MASKED_URL}, {"webhookUrl": WEBHOOK_URL}])
async def test_change_of_a_payload_is_refused_by_the_webhook_that_the_task_has(
    client: httpx.AsyncClient, new_task: dict[str, Any], read_row: Read, url: dict[str, str]
) -> None:
    task = await create(client, new_task)
    before = await read_row(task.rpartition("/")[2])

    refused = await client.patch(task, json={"payload": LONG_VALUE, **url})

    assert refused.status_code == 400
    assert refused.json()["errors"] == [NAMED]
    assert await read_row(task.rpartition("/")[2]) == before


async def test_change_of_a_webhook_is_refused_by_the_payload_that_the_task_has(
    client: httpx.AsyncClient, new_task: dict[str, Any]
) -> None:
    task = await create(client, new_task, webhookUrl=OTHER_URL, payload=FORM)

    refused = await client.patch(task, json={"webhookUrl": WEBHOOK_URL})
    both = await client.patch(task, json={"webhookUrl": WEBHOOK_URL, "payload": {"content": "hi"}})
    back = await client.patch(task, json={"webhookUrl": OTHER_URL, "payload": FORM})

    assert refused.status_code == 400
    assert [each["field"] for each in refused.json()["errors"]] == ["payload"]
    assert (both.status_code, both.json()["webhookUrl"]) == (200, MASKED_URL)
    assert (back.status_code, back.json()["payload"]) == (200, FORM)


async def test_payload_that_is_older_than_the_rules_stands_in_no_other_changes_way(
    client: httpx.AsyncClient, new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    task = await create(client, new_task)
    await database.execute("UPDATE tasks SET payload = '{\"tts\": true}'")

    changed = await client.patch(task, json={"name": "New", "webhookUrl": MASKED_URL})
    toggled = await client.post(f"{task}/toggle")

    assert (changed.status_code, changed.json()["payload"]) == (200, {"tts": True})
    assert toggled.status_code == 200
