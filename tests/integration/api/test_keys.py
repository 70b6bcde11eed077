"""Tasks whose URL was sealed with another key than the one that the API has first, or has at all."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from integration.api.serving import MASKED_URL, WEBHOOK_URL, api_settings, serve
from tocsin_common.sealing import KEY_BYTES, Sealer

NEW = bytes([2]) * KEY_BYTES
OTHER_URL = "https://discord.com/api/webhooks/987/another-token_ABCD"

Read = Callable[[str], Awaitable[Any]]


@pytest.fixture
def new_keys() -> str:
    """A value for SEALING_KEYS without the key that sealed `task`."""
    return base64.b64encode(NEW).decode()


@pytest.fixture
async def rotating(database_url: str, sealing_keys: str, new_keys: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that has a new first key, and the key that sealed `task`."""
    async with serve(api_settings(database_url, f"{new_keys},{sealing_keys}")) as client:
        yield client


@pytest.fixture
async def without(database_url: str, new_keys: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that does not have the key that sealed `task`."""
    async with serve(api_settings(database_url, new_keys)) as client:
        yield client


def opened(row: Any, key: bytes = NEW) -> str:
    """The task's URL, whose hash must be of the same key."""
    sealer = Sealer([key])
    url = sealer.open(row["webhook_url_sealed"], context=row["id"].bytes)
    assert row["webhook_url_hash"] == sealer.hash(url)
    return url


async def test_the_same_url_is_no_change_under_a_new_key_and_is_sealed_with_it(
    rotating: httpx.AsyncClient, task: dict[str, Any], read_row: Read, read_revisions: Read
) -> None:
    answer = await rotating.patch(f"/api/tasks/{task['id']}", json={"webhookUrl": WEBHOOK_URL})

    assert answer.status_code == 200
    assert answer.json() == task
    assert opened(await read_row(task["id"])) == WEBHOOK_URL
    assert len(await read_revisions(task["id"])) == 1


async def test_the_same_url_beside_another_change_is_sealed_with_the_new_key(
    rotating: httpx.AsyncClient, task: dict[str, Any], read_row: Read, read_revisions: Read
) -> None:
    answer = await rotating.patch(f"/api/tasks/{task['id']}", json={"webhookUrl": WEBHOOK_URL, "name": "New"})

    assert answer.json()["name"] == "New"
    assert opened(await read_row(task["id"])) == WEBHOOK_URL
    assert len(await read_revisions(task["id"])) == 2


async def test_another_url_is_a_change_under_a_new_key(
    rotating: httpx.AsyncClient, task: dict[str, Any], read_row: Read, read_revisions: Read
) -> None:
    await rotating.patch(f"/api/tasks/{task['id']}", json={"webhookUrl": OTHER_URL})

    assert opened(await read_row(task["id"])) == OTHER_URL
    assert len(await read_revisions(task["id"])) == 2


async def test_a_change_that_is_refused_seals_nothing(
    rotating: httpx.AsyncClient, task: dict[str, Any], read_row: Read
) -> None:
    path = f"/api/tasks/{task['id']}"
    await rotating.patch(path, json={"startsAt": "2030-01-01T00:00:00Z"})
    before = await read_row(task["id"])

    answer = await rotating.patch(path, json={"webhookUrl": WEBHOOK_URL, "endsAt": "2029-01-01T00:00:00Z"})

    assert answer.status_code == 400
    assert await read_row(task["id"]) == before


async def test_a_url_whose_key_is_lost_hinders_nothing_but_its_posts(
    without: httpx.AsyncClient, task: dict[str, Any], read_row: Read
) -> None:
    path = f"/api/tasks/{task['id']}"
    before = await read_row(task["id"])

    listed = await without.get("/api/tasks")
    shown = await without.get(path)
    renamed = await without.patch(path, json={"name": "New", "webhookUrl": MASKED_URL})
    toggled = [(await without.post(f"{path}/toggle")).json()["status"] for _ in range(2)]

    assert listed.json()["data"] == [task]
    assert task.items() <= shown.json().items()
    assert (renamed.status_code, renamed.json()["webhookUrl"]) == (200, MASKED_URL)
    assert toggled == ["INACTIVE", "ACTIVE"]
    assert (await read_row(task["id"]))["webhook_url_sealed"] == before["webhook_url_sealed"]
    assert (await without.delete(path)).status_code == 200


async def test_a_url_whose_key_is_lost_can_be_set_anew(
    without: httpx.AsyncClient, task: dict[str, Any], read_row: Read
) -> None:
    answer = await without.patch(f"/api/tasks/{task['id']}", json={"webhookUrl": WEBHOOK_URL})

    assert answer.status_code == 200
    assert opened(await read_row(task["id"])) == WEBHOOK_URL


async def test_a_url_that_was_damaged_can_be_set_anew(
    rotating: httpx.AsyncClient, task: dict[str, Any], database: asyncpg.Connection, read_row: Read
) -> None:
    damage = "UPDATE tasks SET webhook_url_sealed = webhook_url_sealed || 'more' WHERE id = $1"
    await database.execute(damage, UUID(task["id"]))

    answer = await rotating.patch(f"/api/tasks/{task['id']}", json={"webhookUrl": WEBHOOK_URL})

    assert answer.json() == task
    assert opened(await read_row(task["id"])) == WEBHOOK_URL
