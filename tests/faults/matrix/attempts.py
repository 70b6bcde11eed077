"""PURE. Which attempt each POST of an execution was, and why another one followed it.

Attempts are known by their log rows, and by claims that were lost to another sender before anything was recorded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise, zip_longest
from typing import Any, Literal, NamedTuple

from faults.matrix.fault import Repeat
from tocsin_local.post import Post

Log = Mapping[str, Any]
"""A row of `task_logs`."""
Kind = Repeat | Literal["unexplained"]
ANOTHER_TRY = frozenset({"retryable", "limited"})
"""The outcomes after which an execution is to be posted again."""
LAG = timedelta(seconds=5)
"""A sender's reckoning is never ahead of the database's clock, and behind it by an answer's way at the most."""

RECORDING = timedelta(seconds=1)
"""From a log row's clock until all see the row."""


class Span(NamedTuple):
    """Of time, by the clock of this machine."""

    since: datetime
    until: datetime


class Loss(NamedTuple):
    """A claim that ran out and was taken over, as the database noted it then."""

    seq: int
    held_until: datetime
    was_recorded: bool
    """There was a log row of it already."""


class Attempt(NamedTuple):
    """One grant of an execution, and the POST that was made by it."""

    seq: int
    begun_at: datetime
    """By the database's clock, at the earliest."""
    ended_at: datetime
    """At the latest: an answer was there before the row that tells of it."""
    log: Log | None
    loss: Loss | None
    post: Post | None = None

    @property
    def was_answered(self) -> bool:
        """An answer is recorded."""
        return self.log is not None and self.log["http_status"] is not None

    @property
    def may_have_posted(self) -> bool:
        """Nobody says that the request did not leave."""
        return self.log is None or self.was_answered or self.log["ambiguous"]

    def overlaps(self, span: Span) -> bool:
        """Whether it was under way at any moment of it."""
        return self.begun_at <= span.until and span.since <= self.ended_at

    def took(self, post: Post) -> bool:
        """Whether that POST came while it was under way, and had the answer that is recorded, if one is."""
        in_time = self.begun_at <= post.arrived_at <= self.ended_at
        return in_time and (not self.was_answered or post.status == (self.log or {})["http_status"])


class Matched(NamedTuple):
    """The attempts of an execution, in order, and the POSTs that nothing tells of."""

    attempts: Sequence[Attempt]
    strangers: Sequence[Post]

    def repeats(self) -> Iterator[Kind]:
        """Why each POST but the first was made."""
        posted = [attempt for attempt in self.attempts if attempt.post is not None]
        yield from (why_again(before) for before, _ in pairwise(posted))
        for _ in self.strangers if posted else self.strangers[1:]:
            yield "unexplained"

    def problems(self) -> Iterator[str]:
        """What the attempts themselves say that cannot be."""
        if self.strangers:
            yield f"was posted {len(self.strangers)} times by nobody's attempt"
        for attempt in self.attempts:
            log, loss = attempt.log, attempt.loss
            if log is not None and attempt.was_answered and attempt.post is None:
                yield f"has an attempt {attempt.seq} with HTTP {log['http_status']}, which nobody answered"
            if log is not None and loss is not None and log["execution_time"] > loss.held_until:
                yield f"has an attempt {attempt.seq} that began when its claim had run out"
            if attempt.post is not None and self._had_succeeded(attempt):
                yield f"was posted again in an attempt {attempt.seq}, long after a success was recorded"

    def _had_succeeded(self, attempt: Attempt) -> bool:
        return any(
            other.log["outcome"] == "succeeded" and other.log["created_at"] + RECORDING < attempt.begun_at
            for other in self.attempts
            if other.log is not None
        )


def match(
    posts: Sequence[Post],
    logs: Sequence[Log],
    losses: Sequence[Loss],
    claim_ttl: timedelta,
    *,
    silences: Sequence[Span] = (),
) -> Matched:
    """Give each POST, in order of arrival, to one attempt.

    First to those whose answer is recorded, then to those that were under way, and only before the next one began.
    A line that stood still brings the request of one that has ended long since: when it goes on, and not later.
    """
    attempts, left = _known(logs, losses, claim_ttl), list(posts)
    found: dict[int, Post] = {}
    for attempt in (each for each in attempts if each.was_answered):
        _take(attempt, [post for post in left if attempt.took(post)], left, found)
    unanswered = [
        (attempt, next_one.begun_at if next_one else None)
        for attempt, next_one in zip_longest(attempts, attempts[1:])
        if attempt.may_have_posted and not attempt.was_answered
    ]
    for attempt, until in unanswered:
        in_turn = [post for post in left if until is None or post.arrived_at < until]
        _take(attempt, [post for post in in_turn if attempt.took(post)], left, found)
    for attempt, _ in unanswered:
        if attempt.seq not in found:
            held = [silence for silence in silences if attempt.overlaps(silence)]
            late = [
                post for post in left if any(each.since <= post.arrived_at <= each.until + LAG for each in held)
            ]
            _take(attempt, late, left, found)
    return Matched([each._replace(post=found.get(each.seq)) for each in attempts], left)


def why_again(before: Attempt) -> Kind:
    """Why the POST that follows that of `before` was made."""
    post, log = before.post, before.log
    if before.loss is not None:
        return "unexplained" if before.loss.was_recorded else "not recorded"
    if log is None or post is None or log["outcome"] not in ANOTHER_TRY:
        return "unexplained"
    if log["http_status"] is None:
        return "not received" if post.succeeded else "retry"
    return "unexplained" if 200 <= log["http_status"] < 300 else "retry"


def bystanders(
    lost: Iterable[tuple[str, datetime]], hit: Mapping[int, Sequence[Span]], claim_ttl: timedelta
) -> set[str]:
    """Senders (`tocsin-sender@host:4711`) that lost a claim, with its end, although no span of `hit` was in it.

    `hit`: by pid, when each did not see PostgreSQL, or was killed.
    """
    return {
        sender
        for sender, until in lost
        if not any(
            span.since <= until and until - claim_ttl <= span.until
            for span in hit.get(int(sender.rpartition(":")[2]), ())
        )
    }


def _known(logs: Sequence[Log], losses: Sequence[Loss], claim_ttl: timedelta) -> list[Attempt]:
    lost = {loss.seq: loss for loss in losses}
    found = [
        Attempt(seq, loss.held_until - claim_ttl, loss.held_until + LAG, None, loss)
        for seq, loss in lost.items()
        if seq not in {log["seq"] for log in logs}
    ]
    for log in logs:
        begun_at, took = log["execution_time"], timedelta(milliseconds=log["duration_ms"])
        ended_at = begun_at + took + LAG if log["http_status"] is None else log["created_at"]
        found.append(Attempt(log["seq"], begun_at, ended_at, log, lost.get(log["seq"])))
    return sorted(found, key=lambda attempt: attempt.seq)


def _take(attempt: Attempt, candidates: Sequence[Post], left: list[Post], found: dict[int, Post]) -> None:
    if candidates:
        found[attempt.seq] = candidates[0]
        left.remove(candidates[0])
