"""Sealing keys that change, are missing or were never set, with real processes on real servers."""

import asyncio
import base64
import os
import secrets
from pathlib import Path

import asyncpg
import pytest

from e2e.conftest import API_KEY, client_of
from e2e.processes import Tocsin, free_port
from tocsin_common.keys import LOCAL_KEY
from tocsin_common.sealing import KEY_BYTES, Sealer
from tocsin_local.receiver import Receiver

pytestmark = pytest.mark.usefixtures("scheduler")


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """Each process is given its keys by its test; those that know none are not."""
    return {name: value for name, value in environment.items() if name != "SEALING_KEYS"}


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


async def start_api(start, **changes) -> tuple[Tocsin, int]:
    port = free_port()
    process = await start("tocsin-api", "serve", PORT=str(port), API_KEY=API_KEY, **changes)
    await process.logged("api.started")
    return process, port


async def start_sender(start, **changes) -> Tocsin:
    process = await start("tocsin-dispatcher", "send", **changes)
    await process.logged("sender.consuming")
    return process


async def create(port: int, url: str, **fields) -> dict:
    body = {"name": "a task", "schedule": "* * * * * *", "webhookUrl": url, "payload": {"content": "hello"}}
    async with client_of(port) as client:
        answer = await client.post("/api/tasks", json={**body, **fields})
    assert answer.status_code == 201, answer.text
    task: dict = answer.json()
    return task


async def test_a_key_that_is_changed_by_the_book_costs_no_execution_and_no_retry(
    start, database: asyncpg.Connection, receiver: Receiver
):
    old, new = new_key(), new_key()
    before, during = receiver.add(), receiver.add()
    sender = await start_sender(start, SEALING_KEYS=old)
    api, port = await start_api(start, SEALING_KEYS=old)
    await create(port, before.url)
    await receiver.wait_until(lambda: len(before.posts) >= 1)

    newer = await start_sender(start, SEALING_KEYS=f"{new},{old}")
    await sender.stop()
    await api.stop()
    api, port = await start_api(start, SEALING_KEYS=f"{new},{old}")
    await create(port, during.url)
    await receiver.wait_until(lambda: len(during.posts) >= 1)
    rotation = await start("tocsin-api", "rotate-keys", SEALING_KEYS=f"{new},{old}")
    assert await rotation.ended() == 0
    newest = await start_sender(start, SEALING_KEYS=new)
    await newer.stop()
    await api.stop()
    seen = len(before.posts), len(during.posts)
    await receiver.wait_until(lambda: len(before.posts) > seen[0] and len(during.posts) > seen[1])
    await newest.stop()

    assert rotation.all_logged("keys.rotated")[0]["resealed"] == 1
    outcomes = await database.fetch("SELECT outcome, count(*) FROM task_logs GROUP BY outcome")
    assert [row["outcome"] for row in outcomes] == ["succeeded"]


async def test_an_execution_whose_key_is_missing_is_posted_by_a_sender_that_has_it(
    start, database: asyncpg.Connection, receiver: Receiver
):
    key, other = new_key(), new_key()
    webhook = receiver.add()
    without = await start_sender(start, SEALING_KEYS=other)
    _, port = await start_api(start, SEALING_KEYS=key)
    await create(port, webhook.url, maxRetry=3)
    attempt = await without.logged("attempt.finished")
    await without.stop()

    await start_sender(start, SEALING_KEYS=key)
    await receiver.wait_until(
        lambda: attempt["execution_id"] in {str(post.execution_id) for post in webhook.posts}
    )

    missing = Sealer.from_setting(key).key_ids[0]
    assert attempt["outcome"] == "retryable"
    assert f"no key with the id {missing} is in SEALING_KEYS" in attempt["message"]
    assert await database.fetchval("SELECT status FROM tasks") == "ACTIVE"


async def test_processes_of_a_development_without_keys_share_the_one_that_the_first_makes(
    start, receiver: Receiver, tmp_path: Path
):
    webhook = receiver.add()

    sender, (api, port) = await asyncio.gather(
        start_sender(start, folder=tmp_path), start_api(start, folder=tmp_path)
    )
    await create(port, webhook.url)
    await receiver.wait_until(lambda: len(webhook.posts) >= 1)

    [one], [two] = sender.all_logged("keys.loaded"), api.all_logged("keys.loaded")
    assert one["key_ids"] == two["key_ids"] == Sealer.from_setting((tmp_path / LOCAL_KEY).read_text()).key_ids
    assert {line["file"] for each in (sender, api) for line in each.all_logged("keys.local")} == {
        str(tmp_path / LOCAL_KEY)
    }


@pytest.mark.parametrize("command", [("tocsin-api", "serve"), ("tocsin-dispatcher", "send")])
async def test_production_does_not_start_without_a_key(start, command: tuple[str, str], tmp_path: Path):
    production = {"ENVIRONMENT": "production", "ALLOW_LOCAL_WEBHOOKS": "", "API_KEY": API_KEY}

    process = await start(*command, folder=tmp_path, **production)

    assert await process.ended() != 0
    assert "SEALING_KEYS is not set and has no default where ENVIRONMENT is production" in process.last_lines[-1]
    assert await asyncio.to_thread(os.listdir, tmp_path) == []
