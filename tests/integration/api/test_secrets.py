"""No webhook URL and no API key in any answer or log."""

from typing import Any

import asyncpg
import httpx

from integration.api.serving import API_KEY, WEBHOOK_TOKEN, WEBHOOK_URL


async def use_everything(client: httpx.AsyncClient, new_task: dict[str, Any]) -> list[httpx.Response]:
    created = await client.post("/api/tasks", json=new_task)
    path = f"/api/tasks/{created.json()['id']}"
    return [
        created,
        await client.get("/api/tasks"),
        await client.get(path),
        await client.patch(path, json={"webhookUrl": WEBHOOK_URL, "name": "New"}),
        await client.post(f"{path}/toggle"),
        await client.get(f"{path}/logs"),
        await client.post("/api/tasks", json={**new_task, "webhookUrl": f"http{WEBHOOK_URL[5:]}"}),
        await client.post("/api/tasks", json={**new_task, "webhookUrl": [WEBHOOK_URL]}),
        await client.post("/api/tasks", json={**new_task, "maxRetry": WEBHOOK_URL}),
        await client.post("/api/tasks", json={**new_task, "status": API_KEY}),
        await client.post("/api/tasks", content=WEBHOOK_URL),
        await client.post("/api/tasks", content=WEBHOOK_URL, headers={"Content-Type": "application/json"}),
        await client.post("/api/tasks", json={**new_task, WEBHOOK_URL: 1, API_KEY: 1, WEBHOOK_TOKEN: 1}),
        await client.post("/api/tasks", json={**new_task, "schedule": f"@{WEBHOOK_TOKEN}"}),
        await client.post("/api/tasks", json={**new_task, "schedule": f"0 9 * * {API_KEY}"}),
        await client.get("/api/tasks", params={"sort": WEBHOOK_URL, "key": API_KEY}),
        await client.get("/api/tasks", params={API_KEY: "", WEBHOOK_TOKEN: ""}),
        await client.get(f"/api/tasks/{WEBHOOK_URL}"),
        await client.get(f"/api/tasks/{API_KEY}"),
        await client.put(f"{path}/{WEBHOOK_TOKEN}"),
        await client.get("/api/nothing", params={"key": API_KEY, "url": WEBHOOK_URL}),
        await client.get(f"/api/tasks?{API_KEY}", headers={"X-API-KEY": f"{API_KEY}x"}),
        await client.delete(path),
    ]


async def test_secrets_are_in_no_answer_and_no_log(
    client: httpx.AsyncClient, new_task: dict[str, Any], log: list[dict[str, Any]]
) -> None:
    answers = await use_everything(client, new_task)

    shown = [answer.text + str(answer.headers) for answer in answers]
    for secret in (WEBHOOK_TOKEN, API_KEY):
        assert not [text for text in shown if secret in text]
        assert secret not in str(log)
    assert len([line for line in log if line["event"] == "request.finished"]) == len(answers)


async def test_secrets_are_in_no_traceback(
    client: httpx.AsyncClient, new_task: dict[str, Any], database: asyncpg.Connection, log: list[dict[str, Any]]
) -> None:
    await database.execute("ALTER TABLE tasks ADD CONSTRAINT broken CHECK (max_retry > 100) NOT VALID")

    answer = await client.post("/api/tasks", json=new_task)

    assert answer.status_code == 500
    assert [line["event"] for line in log if line["log_level"] == "error"] == ["request.failed"]
    assert "Traceback" in str(log)
    assert WEBHOOK_TOKEN not in answer.text + str(log)


async def test_each_request_has_one_line_with_its_id(client: httpx.AsyncClient, log: list[dict[str, Any]]) -> None:
    await client.get("/api/tasks?search=x", headers={"X-Request-ID": "request-of-this-test"})
    await client.get("/nothing/at-all")

    lines = [line for line in log if line["event"] == "request.finished"]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("GET", "/api/tasks", 200),
        ("GET", "unknown", 404),
    ]
    assert lines[0]["request_id"] == "request-of-this-test"
    assert all(line["duration_ms"] > 0 for line in lines)


async def test_a_new_key_is_in_no_log_and_in_no_answer_but_its_first(
    client: httpx.AsyncClient, log: list[dict[str, Any]]
) -> None:
    created = (await client.post("/api/keys", json={"name": "x", "scopes": ["read"]})).json()
    headers = {"X-API-KEY": created["key"]}

    answers = [
        await client.get("/api/tasks", headers=headers),
        await client.post("/api/tasks", headers=headers),
        await client.get("/api/keys"),
        await client.delete(f"/api/keys/{created['key']}"),
        await client.delete(f"/api/keys/{created['id']}"),
        await client.get("/api/tasks", headers=headers),
    ]

    shown = [answer.text + str(answer.headers) for answer in answers]
    assert [answer.status_code for answer in answers] == [200, 403, 200, 400, 200, 401]
    assert not [text for text in shown if created["key"] in text]
    assert created["key"] not in str(log)


async def test_each_request_s_line_says_whose_key_came_with_it(
    client: httpx.AsyncClient, log: list[dict[str, Any]]
) -> None:
    created = (await client.post("/api/keys", json={"name": "x", "scopes": ["read"]})).json()
    for key in (created["key"], "wrong"):
        await client.get("/api/tasks", headers={"X-API-KEY": key})

    lines = [line["api_key"] for line in log if line["event"] == "request.finished"]
    assert lines == ["API_KEY", created["id"], None]
    assert [line["key_id"] for line in log if line["event"] == "api_key.created"] == [created["id"]]
