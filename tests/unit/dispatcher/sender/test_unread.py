"""What becomes of messages that a sender cannot read."""

from typing import Any

import msgspec
import pytest
from aio_pika.abc import HeadersType

from tocsin_common.messages import UnknownVersionError
from tocsin_common.topology import DEAD_QUEUE, TIERS_S
from tocsin_dispatcher.sender.unread import MOST_PARKED, put_aside, tier_after, times_parked

DAY_S = 24 * 60 * 60


class Message:
    """As it came from the broker."""

    def __init__(self, **headers: Any) -> None:
        self.body = b"whole"
        self.headers = headers


class Kept:
    """A publisher that notes what it is given."""

    def __init__(self) -> None:
        self.published: list[tuple[bytes, str, HeadersType]] = []

    async def insist_on_body(self, body: bytes, queue: str, headers: HeadersType) -> None:
        self.published.append((body, queue, headers))


async def put(message: Any, error: msgspec.DecodeError) -> tuple[bytes, str, HeadersType]:
    kept: Any = Kept()
    await put_aside(message, error, kept)
    [published] = kept.published
    found: tuple[bytes, str, HeadersType] = published
    return found


async def test_what_another_release_wrote_waits_whole_with_what_its_headers_said():
    message = Message(**{"jobs": 3, "x-death": [{"count": 1}], "x-first-death-queue": "deliveries.retry.1s"})

    body, queue, headers = await put(message, UnknownVersionError(2))

    assert (body, queue) == (b"whole", "deliveries.retry.1s")
    assert headers == {"jobs": 3, "reason": "version 2 is not known here", "parked": 1}


async def test_it_waits_twice_as_long_each_time():
    queues = [(await put(Message(parked=times), UnknownVersionError(2)))[1] for times in range(12)]

    assert queues[:4] == [f"deliveries.retry.{seconds}s" for seconds in (1, 2, 4, 8)]
    assert queues[9:] == ["deliveries.retry.512s"] * 3


async def test_after_a_day_operators_see_it():
    waited_s = sum(map(tier_after, range(MOST_PARKED)))

    body, queue, headers = await put(Message(parked=MOST_PARKED), UnknownVersionError(2))

    assert DAY_S < waited_s < DAY_S + 2 * TIERS_S[-1]
    assert (body, queue) == (b"whole", DEAD_QUEUE)
    assert headers == {"reason": "malformed: version 2 is not known here"}


async def test_what_nobody_can_read_is_shown_to_operators_at_once():
    published = await put(Message(parked=1), msgspec.DecodeError("truncated"))

    assert published == (b"whole", DEAD_QUEUE, {"reason": "malformed: truncated"})


@pytest.mark.parametrize("header", [-1, 0, "7", None, 2.5, []])
def test_a_header_that_is_no_number_of_times_counts_as_none(header: Any):
    assert times_parked({"parked": header}) == 0
    assert times_parked({}) == 0
