"""A task's ETag, and changes that hold only for the one that their client has seen."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from integration.api.serving import MASKED_URL

Read = Callable[[str], Awaitable[Any]]
CHANGES = [("PATCH", "", {"name": "New"}), ("DELETE", "", None), ("POST", "/toggle", None)]


@pytest.fixture
def client(shared_client: httpx.AsyncClient) -> httpx.AsyncClient:
    """One database is enough: each test makes its own task."""
    return shared_client


@pytest.fixture
def database(shared_database: asyncpg.Connection) -> asyncpg.Connection:
    return shared_database


async def change(
    client: httpx.AsyncClient, task: dict[str, Any], etag: str, method: str, path: str, body: Any
) -> httpx.Response:
    return await client.request(method, f"/api/tasks/{task['id']}{path}", json=body, headers={"If-Match": etag})


async def test_every_answer_with_the_task_has_its_etag(
    client: httpx.AsyncClient, new_task: dict[str, Any]
) -> None:
    created = await client.post("/api/tasks", json=new_task)
    path = f"/api/tasks/{created.json()['id']}"

    shown = await client.get(path)
    changed = await client.patch(path, json={"name": "New"})
    unchanged = await client.patch(path, json={"name": "New", "webhookUrl": MASKED_URL})
    toggled = await client.post(f"{path}/toggle")

    answers = (created, shown, changed, unchanged, toggled)
    assert [answer.headers["etag"] for answer in answers] == ['"1"', '"1"', '"2"', '"2"', '"3"']


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_change_of_the_task_as_its_client_has_seen_it_is_made(
    client: httpx.AsyncClient, task: dict[str, Any], method: str, path: str, body: Any
) -> None:
    answer = await change(client, task, '"99", "1"', method, path, body)

    assert answer.status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
@pytest.mark.parametrize("etag", ['"1"', 'W/"2"', '"foreign"'])
async def test_change_of_a_task_that_was_changed_meanwhile_is_412_and_does_nothing(
    client: httpx.AsyncClient,
    task: dict[str, Any],
    read_row: Read,
    etag: str,
    method: str,
    path: str,
    body: Any,
) -> None:
    await client.patch(f"/api/tasks/{task['id']}", json={"maxRetry": 1})
    before = await read_row(task["id"])

    answer = await change(client, task, etag, method, path, body)

    assert answer.status_code == 412
    assert answer.headers["etag"] == '"2"'
    assert answer.headers["content-type"] == "application/problem+json"
    assert await read_row(task["id"]) == before


async def test_of_many_changes_at_once_of_the_same_task_one_is_made(
    client: httpx.AsyncClient, task: dict[str, Any], read_row: Read
) -> None:
    answers = await asyncio.gather(
        *(change(client, task, '"1"', "PATCH", "", {"name": f"New {n}"}) for n in range(8))
    )

    [made] = [answer for answer in answers if answer.status_code == 200]
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    assert (await read_row(task["id"]))["name"] == made.json()["name"]
    assert made.headers["etag"] == '"2"'


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_if_match_that_is_none_is_refused_and_does_nothing(
    client: httpx.AsyncClient, task: dict[str, Any], read_row: Read, method: str, path: str, body: Any
) -> None:
    answer = await change(client, task, "1", method, path, body)

    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["errors"]] == ["If-Match"]
    assert (await read_row(task["id"]))["revision"] == 1


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_star_means_whatever_the_task_is_by_now(
    client: httpx.AsyncClient, task: dict[str, Any], method: str, path: str, body: Any
) -> None:
    await client.patch(f"/api/tasks/{task['id']}", json={"maxRetry": 1})

    assert (await change(client, task, "*", method, path, body)).status_code == 200
