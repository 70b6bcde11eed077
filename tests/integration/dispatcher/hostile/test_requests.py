"""What leaves: to Discord, to others, and whatever a user wrote into URL and payload, over real sockets."""

from typing import NamedTuple

import pytest

from certificates import Authority
from tocsin_common.messages import execution_id

from .conftest import PATH, PAYLOAD, SCHEDULED_FOR, TASK_ID, USER_AGENT, leading_to, local, posting
from .receiver import RawReceiver, answers, answers_each

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAVED = b'HTTP/1.1 200 OK\r\nSet-Cookie: seen=1\r\nContent-Length: 11\r\n\r\n{"id":"42"}'
OTHER_HOST = "hooks.example.com"


class Request(NamedTuple):
    """What came."""

    line: str
    headers: dict[str, str]
    body: str


def parsed(raw: bytes) -> Request:
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    pairs = [header.split(": ", 1) for header in headers]
    assert len({name.lower() for name, _ in pairs}) == len(pairs)
    return Request(line, {name.lower(): value for name, value in pairs}, body.decode())


async def request_for(authority: Authority, host: str, path: str, *, hosts: set[str]) -> Request:
    """What a receiver with this name gets."""
    async with RawReceiver(answers(SAVED), tls=authority.server(host)) as receiver:
        resolver = leading_to(("127.0.0.1", receiver.port))
        async with posting(hosts=hosts, resolver=resolver, tls=authority.trust) as post:
            attempt = await post(f"https://{host}{path}")
    assert attempt.verdict.message == "HTTP 200, message 42"
    return parsed(receiver.requests[0])


@pytest.mark.parametrize("host", ["discord.com", "discordapp.com", "canary.discord.com", "ptb.discord.com"])
async def test_discord_gets_what_it_asks_for_and_nothing_else(authority: Authority, host: str):
    request = await request_for(authority, host, PATH, hosts=set())

    assert request == (
        f"POST {PATH}?wait=true HTTP/1.1",
        {
            "host": host,
            "user-agent": USER_AGENT,
            "accept": "*/*",
            "accept-encoding": "identity",
            "content-type": "application/json",
            "content-length": str(len(PAYLOAD)),
        },
        PAYLOAD,
    )


@pytest.mark.parametrize("path", ["/in?key=a%2Fb", PATH])
async def test_others_can_tell_a_repeated_post_by_its_execution(authority: Authority, path: str):
    request = await request_for(authority, OTHER_HOST, path, hosts={OTHER_HOST})

    assert request.headers["webhook-id"] == str(execution_id(TASK_ID, SCHEDULED_FOR))
    assert request.headers["webhook-timestamp"].isdigit()
    assert request.headers["user-agent"] == USER_AGENT


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("", "?wait=true"),
        ("?thread_id=7", "?thread_id=7&wait=true"),
        ("?wait=false&thread_id=7", "?thread_id=7&wait=true"),
        ("?thread_id=7&wait=false&wait=true&wait", "?thread_id=7&wait=true"),
        ("?%77ait=false&thread%5Fid=%37", "?thread_id=7&wait=true"),
        ("?wait=false%26wait=false&thread_id=7", "?thread_id=7&wait=true"),
        ("?thread_id=7&thread_id=8", "?thread_id=7&thread_id=8&wait=true"),
        ("?thread_id=7&with_components=true", "?thread_id=7&with_components=true&wait=true"),
        ("?&&thread_id=7&", "?thread_id=7&wait=true"),
        ("?thread_name=%E2%9C%93%20a%26wait%3Dfalse", "?thread_name=%E2%9C%93+a%26wait%3Dfalse&wait=true"),
        ("?x=%0d%0aX-Evil:%201", "?x=%0D%0AX-Evil:+1&wait=true"),
        ("?x=%zz", "?x=%25zz&wait=true"),
    ],
)
async def test_discord_is_asked_to_wait_whatever_else_the_url_asks(query: str, sent: str):
    async with RawReceiver(answers(SAVED)) as receiver, posting() as post:
        await post(local(receiver, PATH + query))

    [request] = map(parsed, receiver.requests)
    assert request.line == f"POST {PATH}{sent} HTTP/1.1"


@pytest.mark.parametrize(
    "path",
    [
        "/in/%0d%0aX-Evil:%201%0d%0a%0d%0aGET%20/",
        "/in?key=%0D%0AX-Evil:%201",
        "/in?%0AX-Evil:%201",
        "/in/%00",
        "/in/%E2%80%A8X-Evil",
        "/in;X-Evil=1",
        "/in?key='\"<>{}|^`",
    ],
)
async def test_nothing_in_a_url_becomes_a_header(path: str):
    async with RawReceiver(answers(SAVED)) as receiver, posting() as post:
        attempt = await post(local(receiver, path))

    [request] = map(parsed, receiver.requests)
    assert attempt.verdict.outcome == "succeeded"
    assert request.line.startswith("POST /in")
    assert request.line.endswith(" HTTP/1.1")
    assert request.line.count(" ") == 2
    assert "x-evil" not in request.headers
    assert request.body == PAYLOAD


async def test_webhooks_of_one_host_keep_what_is_their_own_on_one_connection():
    paths = ["/in?key=1", PATH, "/in?key=2", "/in?key=1"]
    kept = SAVED.replace(b"Content-Length", b"Keep-Alive: timeout=9\r\nContent-Length")

    async with RawReceiver(answers_each(*[kept] * len(paths))) as receiver, posting() as post:
        for path in paths:
            await post(local(receiver, path))

    sent = [path + ("?wait=true" if path == PATH else "") for path in paths]
    assert [parsed(request).line for request in receiver.requests] == [f"POST {path} HTTP/1.1" for path in sent]
    assert len(receiver.connections) == 1


async def test_nothing_in_a_payload_becomes_a_request():
    payload = '{"content":\r\n\r\n"0\\r\\n\\r\\n"}\r\n\r\nPOST /evil HTTP/1.1\r\n\r\n'

    async with RawReceiver(answers(SAVED)) as receiver, posting() as post:
        await post(local(receiver, "/in"), payload)

    [request] = map(parsed, receiver.requests)
    assert request.headers["content-length"] == str(len(payload))
    assert request.body == payload


async def test_no_cookie_comes_back():
    async with RawReceiver(answers(SAVED)) as receiver, posting() as post:
        for _ in range(2):
            await post(local(receiver))
            await receiver.left()

    assert len(receiver.requests) == 2
    assert not any("cookie" in parsed(request).headers for request in receiver.requests)
