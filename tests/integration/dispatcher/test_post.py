"""What leaves for a receiver, and what does not."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from tocsin_common import http
from tocsin_common.messages import Job
from tocsin_common.sealing import Sealer
from tocsin_dispatcher.clock import DatabaseClock, boottime
from tocsin_dispatcher.sender.claim import Grant
from tocsin_dispatcher.sender.post import Attempt, Poster
from tocsin_local.receiver import Receiver

Post = Callable[[str, str], Awaitable[Attempt | None]]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def post_to(sealing_keys: str) -> AsyncIterator[Post]:
    """Posts a payload to a URL, under a fresh claim."""
    sealer, clock = Sealer.from_setting(sealing_keys), DatabaseClock()
    clock.sample(datetime.now(UTC))
    session = http.open_session(allow_local=True, user_agent="test", connections=1)
    async with session:
        poster = Poster(session, sealer, clock, timeout_s=10, allowed_hosts=(), allow_local=True)

        async def send(url: str, payload: str) -> Attempt | None:
            job = Job(uuid4(), clock.now(), "discord.com/1")
            sealed = sealer.seal(url, context=job.task_id.bytes)
            return await poster.post(_grant(job, sealed, payload))

        yield send


def _grant(job: Job, sealed: bytes, payload: str) -> Grant:
    return Grant(
        job=job,
        seq=1,
        failures=0,
        max_retry=3,
        webhook_url_sealed=sealed,
        webhook_url_hash=b"",
        payload=payload,
        deadline=boottime() + 60,
        jitter_ms=0,
    )


def outcome(attempt: Attempt | None) -> Any:
    assert attempt is not None
    return attempt.verdict.outcome


async def test_message_is_posted_as_it_was_sent(receiver: Receiver, post_to: Post) -> None:
    webhook = receiver.add()

    attempt = await post_to(webhook.url, '{"content":  "hi"}')

    assert outcome(attempt) == "succeeded"
    assert [(each.body, each.query) for each in webhook.posts] == [(b'{"content":  "hi"}', {"wait": "true"})]


async def test_payload_that_discord_would_refuse_does_not_leave(receiver: Receiver, post_to: Post) -> None:
    webhook = receiver.add()

    attempt = await post_to(webhook.url, '{"content": "hi", "embeds": [{"color": -1}]}')

    assert outcome(attempt) == "permanent"
    assert attempt is not None
    assert attempt.verdict.message == (
        "not sent, for Discord would refuse it: payload/embeds/0/color: must be a whole number from 0 to 16777215"
    )
    assert receiver.posts == []


async def test_discord_is_asked_to_take_a_message_of_components(receiver: Receiver, post_to: Post) -> None:
    webhook = receiver.add()
    payload = '{"flags": 32768, "components": [{"type": 10, "content": "hi"}]}'

    attempt = await post_to(f"{webhook.url}?thread_id=7", payload)

    assert outcome(attempt) == "succeeded"
    assert [each.query for each in webhook.posts] == [
        {"thread_id": "7", "with_components": "true", "wait": "true"}
    ]
