import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest

from certificates import Authority
from tocsin_local.limit import Limit
from tocsin_local.post import Post
from tocsin_local.receiver import Receiver
from tocsin_local.script import DRIP, HUGE, NO_ANSWER, RESET, RESET_AFTER_HEADERS, LocalWebhook, Script

MESSAGE = {"content": "hello"}
Errors: TypeAlias = tuple[type[Exception], ...]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def post(
    client: aiohttp.ClientSession, url: str, *, execution: str = "", payload: object = MESSAGE
) -> aiohttp.ClientResponse:
    headers = {"webhook-id": execution} if execution else {}
    async with client.post(url, json=payload, headers=headers) as response:
        await response.read()
    return response


async def test_a_message_is_answered_204(receiver: Receiver, client: aiohttp.ClientSession) -> None:
    response = await post(client, receiver.add().url)

    assert (response.status, response.content_length) == (204, None)


async def test_a_post_has_a_status_once_its_answer_has_left() -> None:
    client, seen = socket.socket(), list[tuple[int | None, bytes]]()

    def look(post: Post) -> None:
        seen.append((post.status, client.recv(100, socket.MSG_DONTWAIT)))

    async with Receiver(look) as receiver:
        await asyncio.to_thread(client.connect, ("127.0.0.1", receiver.port))
        path, body = urlsplit(receiver.add().url).path, json.dumps(MESSAGE)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(f"{head}{body}".encode())
        await receiver.wait_for_answers(1)
    client.close()

    [(status, answer)] = seen
    assert status == 204
    assert answer.startswith(b"HTTP/1.1 204")


async def test_a_client_that_waits_gets_the_message(receiver: Receiver, client: aiohttp.ClientSession) -> None:
    webhook = receiver.add()

    response = await post(client, f"{webhook.url}?wait=true")

    assert response.status == 200
    saved = await response.json()
    assert (saved["content"], saved["webhook_id"]) == ("hello", webhook.webhook_id)
    assert saved["id"].isdigit()


async def test_a_versioned_path_leads_to_the_same_webhook(
    receiver: Receiver, client: aiohttp.ClientSession
) -> None:
    webhook = receiver.add()

    response = await post(client, webhook.url.replace("/api/", "/api/v10/"))

    assert response.status == 204
    assert len(webhook.posts) == 1


async def test_what_discord_refuses_is_refused_with_its_code(
    receiver: Receiver, client: aiohttp.ClientSession
) -> None:
    webhook, deleted = receiver.add(), receiver.add()
    receiver.remove(deleted)

    answers = [
        await post(client, webhook.url, payload={}),
        await post(client, f"{webhook.url}x"),
        await post(client, deleted.url),
    ]

    codes = [(answer.status, (await answer.json())["code"]) for answer in answers]
    assert codes == [(400, 50006), (401, 50027), (404, 10015)]


async def test_a_script_is_followed(receiver: Receiver, client: aiohttp.ClientSession) -> None:
    webhook = receiver.add(Script(first=(503,), each=(500,)))
    one, other = str(uuid4()), str(uuid4())

    statuses = [(await post(client, webhook.url, execution=name)).status for name in (one, one, other, one)]

    assert statuses == [503, 500, 500, 204]


async def test_a_used_up_limit_is_answered_429_and_told(receiver: Receiver, client: aiohttp.ClientSession) -> None:
    webhook = receiver.add(Script(limit=Limit(2, 60.0)))

    answers = [await post(client, webhook.url) for _ in range(3)]

    assert [answer.status for answer in answers] == [204, 204, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    refusal = await answers[2].json()
    assert refusal["global"] is False
    assert 59 < refusal["retry_after"] <= 60
    assert answers[2].headers["Retry-After"] == "60"


async def test_a_hidden_limit_shows_in_nothing_but_the_wait_that_a_refusal_names(
    receiver: Receiver, client: aiohttp.ClientSession
) -> None:
    webhook = receiver.add(Script(limit=Limit(5, 60.0), hidden_limit=Limit(2, 30.0)))

    answers = [await post(client, webhook.url) for _ in range(3)]

    assert [answer.status for answer in answers] == [204, 204, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["4", "3", "2"]
    assert 29 < (await answers[2].json())["retry_after"] <= 30
    assert answers[2].headers["Retry-After"] == "30"


async def test_each_webhook_has_a_limit_of_its_own(receiver: Receiver, client: aiohttp.ClientSession) -> None:
    webhooks = [receiver.add(Script(limit=Limit(1, 60.0))) for _ in range(2)]

    statuses = [(await post(client, webhook.url)).status for webhook in webhooks * 2]

    assert statuses == [204, 204, 429, 429]


async def test_after_the_time_that_a_refusal_named_the_webhook_answers_again(
    receiver: Receiver, client: aiohttp.ClientSession
) -> None:
    webhook = receiver.add(Script(limit=Limit(1, 0.05)))
    clock = asyncio.get_running_loop().time
    asked_at = clock()
    while (response := await post(client, webhook.url)).status != 429:
        asked_at = clock()
    named_s = (await response.json())["retry_after"]

    async with asyncio.timeout(10):
        while (await post(client, webhook.url)).status == 429:
            pass

    rounding_s = 0.001  # whole milliseconds are named
    assert clock() >= asked_at + named_s - rounding_s


async def test_a_post_is_recorded_without_secrets(receiver: Receiver, client: aiohttp.ClientSession) -> None:
    webhook = receiver.add()
    execution = uuid4()
    before = datetime.now(UTC)

    await client.post(
        f"{webhook.url}?wait=true",
        json=MESSAGE,
        headers={"webhook-id": str(execution), "webhook-timestamp": "5", "Authorization": "secret"},
    )

    [found] = webhook.posts
    assert before <= found.arrived_at <= datetime.now(UTC)
    assert (found.execution_id, found.attempt, found.status) == (execution, 1, 200)
    assert (json.loads(found.body), found.query) == (MESSAGE, {"wait": "true"})
    assert found.headers["webhook-timestamp"] == "5"
    assert "authorization" not in found.headers
    assert webhook.token not in repr(found)


async def test_attempts_of_an_execution_are_counted(receiver: Receiver, client: aiohttp.ClientSession) -> None:
    webhook = receiver.add(Script(then=500))
    one, other = str(uuid4()), str(uuid4())

    for name in (one, one, other, one):
        await post(client, webhook.url, execution=name)

    assert [found.attempt for found in receiver.posts] == [1, 2, 1, 3]


async def test_a_client_without_an_answer_can_be_seen_and_goes_away(client: aiohttp.ClientSession) -> None:
    ended: list[Post] = []
    async with Receiver(on_answer=ended.append) as receiver:
        call = asyncio.create_task(post(client, receiver.add(Script(then=NO_ANSWER)).url))
        await receiver.wait_for_posts(1)
        assert ended == []

        call.cancel()
        await receiver.wait_until(lambda: bool(ended))

        assert ended == receiver.posts
        assert ended[0].status is None


async def test_a_delayed_answer_is_recorded_before_it_comes(
    receiver: Receiver, client: aiohttp.ClientSession
) -> None:
    webhook = receiver.add(Script(delay_s=0.05))

    call = asyncio.create_task(post(client, webhook.url))
    await receiver.wait_for_posts(1)

    assert webhook.posts[0].status is None
    assert (await call).status == 204
    await receiver.wait_for_answers(1)
    assert webhook.posts[0].status == 204


async def test_waiting_in_vain_says_what_came(receiver: Receiver, client: aiohttp.ClientSession) -> None:
    await post(client, receiver.add().url)

    with pytest.raises(TimeoutError, match="1 POSTs came, 1 of them were answered"):
        await receiver.wait_for_posts(2, timeout_s=0.01)


async def test_closing_does_not_wait_for_clients_without_an_answer(client: aiohttp.ClientSession) -> None:
    async with Receiver() as receiver:
        webhook: LocalWebhook = receiver.add(Script(then=NO_ANSWER))
        call = asyncio.create_task(post(client, webhook.url))
        await receiver.wait_for_posts(1)

    with pytest.raises(aiohttp.ClientError):
        await call


@pytest.mark.parametrize(
    ("how", "status", "what_comes"),
    [
        (RESET, None, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)),
        (RESET_AFTER_HEADERS, 200, (aiohttp.ClientPayloadError, aiohttp.ClientOSError)),
        (DRIP, 200, (TimeoutError,)),
        (HUGE, 200, (TimeoutError,)),
    ],
)
async def test_a_receiver_misbehaves_as_its_script_says_and_then_answers_again(
    receiver: Receiver, client: aiohttp.ClientSession, how: int, status: int | None, what_comes: Errors
) -> None:
    webhook = receiver.add(Script(first=(how,), then=204))
    statuses: list[int] = []

    async def post_and_read() -> None:
        async with client.post(webhook.url, json=MESSAGE, timeout=aiohttp.ClientTimeout(1)) as response:
            statuses.append(response.status)
            async for _ in response.content.iter_any():
                pass

    with pytest.raises(what_comes):
        await post_and_read()

    assert statuses == ([] if status is None else [status])
    assert (await post(client, webhook.url)).status == 204
    assert [each.status for each in webhook.posts] == [status, 204]


@pytest.mark.parametrize(
    ("claims", "expired", "is_trusted", "why"),
    [
        ("localhost", False, False, "unable to get local issuer certificate"),
        ("elsewhere.example", False, True, "Hostname mismatch"),
        ("localhost", True, True, "certificate has expired"),
    ],
)
async def test_a_receiver_with_a_bad_certificate_is_refused(
    client: aiohttp.ClientSession, tmp_path: Path, claims: str, expired: bool, is_trusted: bool, why: str
) -> None:
    authority = Authority(tmp_path)
    trust = authority.trust if is_trusted else ssl.create_default_context()

    async with Receiver(tls=authority.server(claims, expired=expired)) as receiver:
        url = receiver.add().url.replace("127.0.0.1", "localhost")
        with pytest.raises(aiohttp.ClientConnectorCertificateError, match=why):
            await client.post(url, json=MESSAGE, ssl=trust)

        assert receiver.posts == []


async def test_a_receiver_with_a_good_certificate_is_posted_to(
    client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)

    async with Receiver(tls=authority.server("localhost")) as receiver:
        url = receiver.add().url.replace("127.0.0.1", "localhost")
        async with client.post(url, json=MESSAGE, ssl=authority.trust) as response:
            assert response.status == 204
