"""The least that answers like the API."""

from typing import Any

import asyncpg
import httpx
import msgspec

from bench import bare
from integration.api.serving import api_settings, serve, task_body


async def test_it_shows_a_task_by_the_statement_that_it_was_given(database_url: str, sealing_keys: str) -> None:
    async with serve(api_settings(database_url, sealing_keys)) as client:
        task: dict[str, Any] = (await client.post("/api/tasks", json=task_body())).json()
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
        answer = bare.application(pool, ["SELECT id, name, payload FROM tasks WHERE id = $1", "SELECT $1::uuid"])
        transport = httpx.ASGITransport(answer)  # type: ignore[arg-type]  # two spellings of ASGI
        async with httpx.AsyncClient(transport=transport, base_url="http://bare") as client:
            shown = await client.get(f"/api/tasks/{task['id']}?fields=name")

    assert shown.status_code == 200
    assert int(shown.headers["Content-Length"]) == len(shown.content)
    assert msgspec.json.decode(shown.content) == {field: task[field] for field in ("id", "name", "payload")}
