"""What is special about Discord's own hosts, tried on loopback: a server that shows a certificate of theirs."""

import pytest
from structlog.testing import capture_logs

from certificates import Authority
from tocsin_common.http import IDLE_AT_DISCORD_S, IDLE_S
from tocsin_common.messages import execution_id
from tocsin_common.webhook import DISCORD_HOSTS
from tocsin_dispatcher.sender.outcome import Verdict

from .conftest import PATH, SCHEDULED_FOR, TASK_ID, leading_to, posting
from .receiver import RawReceiver, answers, answers_each

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER = "hooks.example.com"
DISCORD = "discord.com"
SAVED = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"id":"42"}'
NOT_SAVED = b"HTTP/1.1 204 No Content\r\n\r\n"
UNCONFIRMED = {
    "event": "message.unconfirmed",
    "log_level": "warning",
    "task_id": str(TASK_ID),
    "execution_id": str(execution_id(TASK_ID, SCHEDULED_FOR)),
    "destination": "discord.com/123456789012345678",
}


@pytest.mark.parametrize(
    ("host", "idle_s", "connections"),
    [
        *[(host, IDLE_AT_DISCORD_S, 1) for host in sorted(DISCORD_HOSTS)],
        *[(host, IDLE_AT_DISCORD_S + 0.1, 2) for host in sorted(DISCORD_HOSTS)],
        (OTHER, IDLE_S, 1),
        (OTHER, IDLE_S + 0.1, 2),
    ],
)
async def test_an_idle_connection_to_discord_is_used_again_for_longer(
    authority: Authority, host: str, idle_s: float, connections: int
):
    now = 0.0
    async with RawReceiver(answers_each(SAVED, SAVED), tls=authority.server(host)) as receiver:
        resolver = leading_to(("127.0.0.1", receiver.port))
        async with posting(hosts={OTHER}, resolver=resolver, tls=authority.trust, clock=lambda: now) as post:
            first = await post(f"https://{host}{PATH}")
            now += idle_s
            second = await post(f"https://{host}{PATH}")

    assert [first.verdict.outcome, second.verdict.outcome] == ["succeeded"] * 2
    assert (len(receiver.connections), len(receiver.requests)) == (connections, 2)


async def test_an_idle_connection_to_discord_lasts_from_its_latest_post_on(authority: Authority):
    now = 0.0
    async with RawReceiver(answers_each(*[SAVED] * 5), tls=authority.server(DISCORD)) as receiver:
        resolver = leading_to(("127.0.0.1", receiver.port))
        async with posting(resolver=resolver, tls=authority.trust, clock=lambda: now) as post:
            for _ in range(5):
                await post(f"https://{DISCORD}{PATH}")
                now += IDLE_AT_DISCORD_S

    assert (len(receiver.connections), len(receiver.requests)) == (1, 5)


@pytest.mark.parametrize("said", ["true", "false"])
async def test_a_limit_of_discords_is_one_of_the_address_by_its_body_alone(authority: Authority, said: str):
    body = f'{{"message": "slow down", "retry_after": 2.5, "global": {said}}}'
    head = f"HTTP/1.1 429 No\r\nX-RateLimit-Limit: 5\r\nContent-Length: {len(body)}\r\n\r\n"
    async with RawReceiver(answers((head + body).encode()), tls=authority.server(DISCORD)) as receiver:
        resolver = leading_to(("127.0.0.1", receiver.port))
        async with posting(resolver=resolver, tls=authority.trust) as post:
            attempt = await post(f"https://{DISCORD}{PATH}")

    assert attempt.told is not None
    assert (attempt.told.blocked_s, attempt.told.is_everywhere) == (2.5, said == "true")


@pytest.mark.parametrize(
    ("host", "answer", "verdict", "logged"),
    [
        (DISCORD, SAVED, Verdict("succeeded", "HTTP 200, message 42", 200), []),
        (
            DISCORD,
            NOT_SAVED,
            Verdict("succeeded", "HTTP 204, no message id: it may not have been saved", 204, is_unconfirmed=True),
            [UNCONFIRMED],
        ),
        (OTHER, NOT_SAVED, Verdict("succeeded", "HTTP 204", 204), []),
    ],
)
async def test_a_success_of_discords_without_a_message_is_told(
    authority: Authority, host: str, answer: bytes, verdict: Verdict, logged: list[dict[str, str]]
):
    async with RawReceiver(answers(answer), tls=authority.server(host)) as receiver:
        resolver = leading_to(("127.0.0.1", receiver.port))
        async with posting(hosts={OTHER}, resolver=resolver, tls=authority.trust) as post:
            with capture_logs() as log:
                attempt = await post(f"https://{host}{PATH}")

    assert attempt.verdict == verdict
    assert log == logged
