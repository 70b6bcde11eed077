"""PURE. What contenders are given to do, and how they have done it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from bench import arrivals
from bench.arrivals import Arrival
from tocsin_local.summary import percentile

BODY = '{"content": "' + "The bell is rung. " * 32 + "Come now." + '"}'
"""What each POST carries: 600 bytes."""
IN_FLIGHT = 100
"""POSTs at the same time in each of two processes."""
A_SECOND = timedelta(seconds=1)


class Post(NamedTuple):
    """One POST that is owed: where, and when."""

    url: str
    at: datetime


Offsets = Sequence[tuple[str, timedelta]]
"""Work before it has its time: where each POST goes, and how long after the first instant."""


class Speed(NamedTuple):
    """How what was owed at one instant, or at several, has arrived."""

    rate: float
    """A second, from the first instant to the last arrival."""
    p50_ms: float
    p99_ms: float
    max_ms: float


class Survived(NamedTuple):
    """What came of a burst whose processes were killed in the middle."""

    lost: int
    """Never posted."""
    doubled: int
    """Posted more than once."""
    last_after_s: float
    """From the kill to the last first POST."""
    share: float
    """Of what is owed, what had arrived at the kill."""


def at_once(urls: Sequence[str], count: int) -> Offsets:
    """`count` POSTs at one instant, to these receivers in turn."""
    return [(urls[n % len(urls)], timedelta()) for n in range(count)]


def steadily(urls: Sequence[str], a_second: int, seconds: int) -> Offsets:
    """So many at each of so many seconds."""
    return [(urls[n % len(urls)], n // a_second * A_SECOND) for n in range(a_second * seconds)]


def speed(arrived: Sequence[Arrival], owed: Mapping[UUID, datetime]) -> Speed:
    """Of what has arrived entirely, each once; StackError where it has not."""
    arrivals.check(arrived, owed)
    late_ms = arrivals.lateness_ms(arrived, owed)
    took = max(each.at for each in arrived) - min(owed.values())
    return Speed(len(owed) / took.total_seconds(), percentile(late_ms, 50), percentile(late_ms, 99), max(late_ms))


def survived(arrived: Collection[Arrival], owed: Collection[UUID], killed_at: datetime) -> Survived:
    """What arrived of `owed`, before and after the kill."""
    posts = arrivals.posts(arrived)
    first: dict[UUID, datetime] = {}
    for each in arrived:
        first[each.execution_id] = min(each.at, first.get(each.execution_id, each.at))
    last = max([killed_at, *first.values()])
    return Survived(
        lost=sum(each not in posts for each in owed),
        doubled=sum(posts[each] > 1 for each in owed),
        last_after_s=(last - killed_at).total_seconds(),
        share=sum(at <= killed_at for at in first.values()) / len(owed),
    )
