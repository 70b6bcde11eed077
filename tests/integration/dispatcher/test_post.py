"""What leaves for a receiver, and what does not."""

import resource
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from tocsin_common import http
from tocsin_common.messages import Job
from tocsin_common.sealing import Sealer
from tocsin_dispatcher.clock import DatabaseClock, boottime
from tocsin_dispatcher.sender.claim import Grant
from tocsin_dispatcher.sender.post import SHORTAGE_WAIT_S, Attempt, NotPosted, Poster
from tocsin_local.receiver import Receiver

HELLO = '{"content": "hello"}'
TOO_MUCH = 2**46  # bytes, for the stack of a thread

Post = Callable[..., Awaitable[Attempt | NotPosted]]


@contextmanager
def no_files_left() -> Iterator[None]:
    """This process can open no more files and sockets meanwhile; those that are open stay so."""
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))


@contextmanager
def no_threads_left() -> Iterator[None]:
    """This process can start no more threads meanwhile: there is no place for the stack of one."""
    before = threading.stack_size(TOO_MUCH)
    try:
        yield
    finally:
        threading.stack_size(before)


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

        async def send(url: str, payload: str = HELLO, *, left_s: float = 60) -> Attempt | NotPosted:
            job = Job(uuid4(), clock.now(), "discord.com/1")
            sealed = sealer.seal(url, context=job.task_id.bytes)
            return await poster.post(_grant(job, sealed, payload, left_s))

        yield send


def _grant(job: Job, sealed: bytes, payload: str, left_s: float) -> Grant:
    return Grant(
        job=job,
        seq=1,
        failures=0,
        max_retry=3,
        webhook_url_sealed=sealed,
        webhook_url_hash=b"",
        payload=payload,
        deadline=boottime() + left_s,
        jitter_ms=0,
    )


def outcome(attempt: Attempt | NotPosted) -> Any:
    assert isinstance(attempt, Attempt)
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
    assert isinstance(attempt, Attempt)
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


async def test_claim_that_ends_before_a_post_would_sends_nothing(receiver: Receiver, post_to: Post) -> None:
    webhook = receiver.add()

    with capture_logs() as log:
        attempt = await post_to(webhook.url, left_s=9.9)

    assert attempt == NotPosted("too late for its claim")
    assert [line["event"] for line in log] == ["post.not_sent"]
    assert receiver.posts == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_process_that_can_open_no_more_sockets_sends_nothing(
    receiver: Receiver, post_to: Post, host: str
) -> None:
    webhook = receiver.add()
    url = webhook.url.replace("127.0.0.1", host)
    socket.getaddrinfo(host, 0)  # the first look-up opens files of its own; a sender has made one by then

    with capture_logs() as log, no_files_left():
        attempt = await post_to(url)
    afterwards = await post_to(url)

    assert attempt == NotPosted("this machine lacks resources (EMFILE)", SHORTAGE_WAIT_S)
    assert [(line["event"], line["log_level"], line["reason"]) for line in log] == [
        ("post.not_sent", "warning", attempt.reason)
    ]
    assert outcome(afterwards) == "succeeded"
    assert len(receiver.posts) == 1


async def test_process_that_can_open_no_more_sockets_goes_on_with_those_it_has(
    receiver: Receiver, post_to: Post
) -> None:
    webhook = receiver.add()
    await post_to(webhook.url)

    with no_files_left():
        attempt = await post_to(webhook.url)

    assert outcome(attempt) == "succeeded"


async def test_process_that_can_start_no_thread_for_a_look_up_sends_nothing(
    receiver: Receiver, post_to: Post
) -> None:
    webhook = receiver.add()
    url = webhook.url.replace("127.0.0.1", "localhost")

    with capture_logs() as log, no_threads_left():
        attempt = await post_to(url)
    afterwards = await post_to(url)

    assert attempt == NotPosted("this machine lacks resources (EAGAIN)", SHORTAGE_WAIT_S)
    assert [line["event"] for line in log] == ["post.not_sent"]
    assert outcome(afterwards) == "succeeded"
