"""Saving a task with `?verify=true`: Discord is asked first whether the webhook exists."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from aiohttp import web

from integration.api.serving import MASKED_URL, serve
from tocsin_common.settings import ApiSettings
from tocsin_local import ports
from tocsin_local.receiver import Receiver

PATH = "/api/webhooks/123/a-secret-token-of-this-test"


@pytest.fixture
async def client(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that may ask local stand-ins."""
    async with serve(msgspec.structs.replace(settings, allow_local_webhooks=True, verify_timeout_s=2)) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@asynccontextmanager
async def stand_in(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """The URL of a webhook on a server that gives that answer to whatever it is asked."""
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
    finally:
        await runner.cleanup()


async def tasks(database: asyncpg.Connection) -> int:
    found: int = await database.fetchval("SELECT count(*) FROM tasks")
    return found


async def save(client: httpx.AsyncClient, body: dict[str, Any], url: str, verify: str = "true") -> httpx.Response:
    return await client.post(f"/api/tasks?verify={verify}", json={**body, "webhookUrl": url})


async def test_task_with_a_webhook_that_is_there_is_saved_and_nothing_is_posted(
    client: httpx.AsyncClient, receiver: Receiver, new_task: dict[str, Any]
) -> None:
    webhook, other = receiver.add(), receiver.add()

    created = await save(client, new_task, f"{webhook.url}?thread_id=1&wait=true")
    changed = await client.patch(f"/api/tasks/{created.json()['id']}?verify=true", json={"webhookUrl": other.url})

    assert (created.status_code, changed.status_code) == (201, 200)
    assert receiver.posts == []


async def test_dead_webhook_is_refused_and_nothing_is_saved(
    client: httpx.AsyncClient, receiver: Receiver, new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    webhook, there = receiver.add(), receiver.add()
    task = (await save(client, new_task, there.url)).json()
    receiver.remove(webhook)

    created = await save(client, new_task, webhook.url)
    changed = await client.patch(f"/api/tasks/{task['id']}?verify=true", json={"webhookUrl": webhook.url})

    for answer in (created, changed):
        assert answer.status_code == 400
        [error] = answer.json()["errors"]
        assert (error["field"], error["pointer"]) == ("webhookUrl", "/webhookUrl")
        assert error["message"] == "there is no such webhook, says Discord: HTTP 404, code 10015"
        assert webhook.token not in answer.text
    assert await tasks(database) == 1
    assert (await client.get(f"/api/tasks/{task['id']}")).headers["etag"] == '"1"'


async def test_repeated_request_is_answered_with_its_task_though_the_webhook_is_gone(
    client: httpx.AsyncClient, receiver: Receiver, new_task: dict[str, Any]
) -> None:
    webhook = receiver.add()
    body, key = {**new_task, "webhookUrl": webhook.url}, {"Idempotency-Key": "the-key"}
    path = "/api/tasks?verify=true"
    first = await client.post(path, json=body, headers=key)
    receiver.remove(webhook)

    again = await client.post(path, json=body, headers=key)
    other = await client.post(path, json={**body, "name": "Other"}, headers=key)

    assert (again.status_code, again.json()) == (201, first.json())
    assert other.status_code == 422


async def test_webhook_with_another_token_is_refused(
    client: httpx.AsyncClient, receiver: Receiver, new_task: dict[str, Any]
) -> None:
    answer = await save(client, new_task, receiver.add().url.rpartition("/")[0] + "/another-token")

    assert answer.status_code == 400
    assert "code 50027" in answer.json()["detail"]


@pytest.mark.parametrize("verify", ["false", ""])
async def test_nobody_is_asked_where_that_is_not_wanted(
    client: httpx.AsyncClient, receiver: Receiver, new_task: dict[str, Any], verify: str
) -> None:
    webhook = receiver.add()
    receiver.remove(webhook)

    path = f"/api/tasks{f'?verify={verify}' if verify else ''}"
    answer = await client.post(path, json={**new_task, "webhookUrl": webhook.url})

    assert answer.status_code == 201


@pytest.mark.parametrize("body", [{"name": "New"}, {"webhookUrl": MASKED_URL}])
async def test_nobody_is_asked_for_a_webhook_that_was_not_sent(
    client: httpx.AsyncClient, task: dict[str, Any], body: dict[str, Any]
) -> None:
    answer = await client.patch(f"/api/tasks/{task['id']}?verify=true", json=body)

    assert answer.status_code == 200


async def test_other_receivers_cannot_be_verified(
    client: httpx.AsyncClient, new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    answer = await save(client, new_task, "http://127.0.0.1:1/some/path")

    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["errors"]] == ["verify"]
    assert await tasks(database) == 0


@pytest.mark.parametrize("verify", ["maybe", ""])
async def test_what_is_neither_true_nor_false_is_refused(
    client: httpx.AsyncClient, new_task: dict[str, Any], verify: str
) -> None:
    answer = await save(client, new_task, MASKED_URL.replace("…", "x"), verify)

    assert [each["field"] for each in answer.json()["errors"]] == ["verify"]


async def test_invalid_body_is_told_before_anybody_is_asked(
    client: httpx.AsyncClient, receiver: Receiver, new_task: dict[str, Any]
) -> None:
    webhook = receiver.add()
    receiver.remove(webhook)

    answer = await save(client, {**new_task, "name": ""}, webhook.url)

    assert [each["field"] for each in answer.json()["errors"]] == ["name"]


async def hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def limits(_: web.Request) -> web.StreamResponse:
    return web.json_response({"retry_after": 11.5, "code": 0}, status=429, headers={"Retry-After": "11.5"})


async def fails(_: web.Request) -> web.StreamResponse:
    return web.Response(status=502)


async def blocks(_: web.Request) -> web.StreamResponse:
    return web.Response(status=403, text="error code: 1015")


async def redirects(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/api/webhooks/1/elsewhere")


@pytest.mark.parametrize(
    ("answer", "reason", "retry_after"),
    [
        (hangs, "no answer within 2 s", "5"),
        (limits, "HTTP 429", "12"),
        (fails, "HTTP 502", "5"),
        (blocks, "HTTP 403", "5"),
        (redirects, "HTTP 302", "5"),
    ],
)
async def test_task_is_not_saved_where_discord_does_not_say(
    client: httpx.AsyncClient,
    new_task: dict[str, Any],
    database: asyncpg.Connection,
    answer: Any,
    reason: str,
    retry_after: str,
) -> None:
    async with stand_in(answer) as url:
        refused = await save(client, new_task, url)

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == retry_after
    assert refused.json()["detail"] == (
        f"nothing was saved: Discord did not say whether the webhook exists ({reason}); "
        f"try again in {retry_after} s"
    )
    assert await tasks(database) == 0


async def test_task_is_not_saved_where_nobody_listens(
    client: httpx.AsyncClient, new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    refused = await save(client, new_task, f"http://127.0.0.1:{ports.choose()}{PATH}")

    assert refused.status_code == 503
    assert "no connection" in refused.json()["detail"]
    assert "token" not in refused.text
    assert await tasks(database) == 0
