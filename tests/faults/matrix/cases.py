"""PURE. One owed execution, with all that is known of it, and what is wrong with it."""

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from e2e.oracle import TERMINAL, Row
from faults.matrix.attempts import Kind, Log, Loss, Span
from tocsin_local.oracle import Fate
from tocsin_local.post import Post

CANCELLED = "cancelled"
ATTEMPTS = 4
"""Of an execution, of which the last one may succeed: 1 + `maxRetry` of all tasks of a run."""
COUNTED = frozenset({"retryable", "succeeded", "permanent", "gone"})
"""The outcomes that use up an attempt."""


class Address(NamedTuple):
    """Where a task's POSTs are to come, and with what."""

    webhook_id: str
    content: str
    """All that the payload has."""

    def is_of(self, post: Post) -> bool:
        """Whether it came there, with that."""
        return post.webhook_id == self.webhook_id and _read(post.body) == {"content": self.content}


class Rules(NamedTuple):
    """What decides."""

    grace: timedelta
    """What is not older always fires."""
    claim_ttl: timedelta
    """For so long nobody else has an execution."""
    addresses: Mapping[UUID, Address]
    """Of all tasks."""
    ends: AbstractSet[str]
    """The terminal states that this run may come to."""
    repeats: Container[str] = frozenset()
    """Why executions may be posted again."""
    silences: Sequence[Span] = ()
    """When the line to the receivers stood still: requests come late then, of attempts that have ended."""
    hostile: Container[UUID] = frozenset()
    """Tasks whose receivers misbehave."""
    failed_since: Mapping[UUID, datetime] = {}
    """Of those that were stopped for their failures; only what ends later may be cancelled."""
    hostile_ends: AbstractSet[str] = frozenset()
    """The terminal states that those may come to."""

    def ends_of(self, task_id: UUID, row: Row | None) -> AbstractSet[str]:
        """Those that this execution of a task's may come to."""
        ends = self.hostile_ends if task_id in self.hostile else self.ends
        if CANCELLED not in ends or row is None or row["state"] != CANCELLED:
            return ends
        since = self.failed_since.get(task_id)
        return ends if since is not None and row["finished_at"] >= since else ends - {CANCELLED}


class Case(NamedTuple):
    """One owed execution."""

    fate: Fate
    row: Row | None
    standing: int
    """Missed rows that stand for it."""
    logs: Sequence[Log]
    losses: Sequence[Loss]

    @property
    def state(self) -> str:
        """What it has come to."""
        if self.row is not None:
            return str(self.row["state"])
        return "missed" if self.standing else "not there"

    def __str__(self) -> str:
        posts = [f"{post.status or 'no answer'} at {post.arrived_at:%H:%M:%S.%f}" for post in self.fate.posts]
        task, instant = self.fate.owed
        return f"{task.task_id} at {instant:%H:%M:%S} ({', '.join(posts) or 'no POST'})"

    def is_recorded(self, outcome: str) -> bool:
        """Whether an attempt came to it."""
        return any(log["outcome"] == outcome for log in self.logs)


def why_lost(case: Case, ends: Container[str]) -> str | None:
    """Why it is not accounted for as it should be; None where it is."""
    if case.state == "missed" or case.row is None:
        if case.standing != 1:
            return f"has {case.standing} missed rows standing for it" if case.standing else "is not there"
        if case.fate.posts:
            return "is missed and was posted"
        return None if "missed" in ends else "is missed"
    if case.standing:
        return f"is {case.state}, and a missed row stands for it too"
    if case.state not in TERMINAL:
        return f"is still {case.state}"
    if case.state == "succeeded" and not case.fate.successes:
        return "is recorded as a success that nobody answered with one"
    if case.state != "succeeded" and case.is_recorded("succeeded"):
        return f"is {case.state}, and an attempt is recorded as a success"
    return None if case.state in ends else f"is {case.state}"


def badly_recorded(case: Case, row: Row) -> Iterator[str]:
    """Where its state and the log of its attempts do not fit."""
    if case.state == "succeeded" and not case.is_recorded("succeeded"):
        yield "is a success, and no attempt is recorded as one"
    if any(log["seq"] > row["seq"] for log in case.logs):
        yield f"has an attempt more than the {row['seq']} that were granted"
    if case.state == "failed" and _spent(case) < ATTEMPTS:
        yield f"has failed after {_spent(case)} of {ATTEMPTS} attempts"


def misaddressed(case: Case, rules: Rules) -> Iterator[str]:
    """POSTs that came to a stranger, or with what is another's."""
    address = rules.addresses[case.fate.owed.task.task_id]
    wrong = sum(not address.is_of(post) for post in case.fate.posts)
    if wrong:
        yield f"was posted {wrong} times to a webhook, or with a payload, that is not its task's"


def repeated(case: Case, kinds: Sequence[Kind], rules: Rules) -> Iterator[str]:
    """What was posted again without a reason that there may be, or too often."""
    for kind in kinds:
        if kind == "unexplained":
            yield "was posted again without a reason"
        elif kind not in rules.repeats:
            yield f"was posted again ({kind}), which this fault is no reason for"
    lost = {loss.seq for loss in case.losses}
    had = sum(log["outcome"] in COUNTED and log["seq"] not in lost for log in case.logs)
    if had > ATTEMPTS:
        yield f"has had {had} of {ATTEMPTS} attempts"


def early(case: Case) -> Iterator[str]:
    """What was there before its instant; an attempt may not begin before the task's jitter is over either."""
    instant = case.fate.owed.scheduled_for
    if case.row is not None and case.row["created_at"] < instant:
        yield f"has a row since {_clock(case.row['created_at'])}"
    begins = instant + timedelta(milliseconds=case.row["jitter_ms"] if case.row is not None else 0)
    if any(log["execution_time"] < begins for log in case.logs):
        yield f"has an attempt since {_clock(min(log['execution_time'] for log in case.logs))}"
    if any(post.arrived_at < begins for post in case.fate.posts):
        yield "was posted early"


def missed_too_soon(rows: Sequence[Row], grace: timedelta) -> Iterator[str]:
    """What is missed and was within the grace when that was decided."""
    for row in rows:
        if row["state"] == "missed" and row["created_at"] - row["scheduled_for"] < grace:
            yield f"{_clock(row['scheduled_for'])} is missed since {_clock(row['created_at'])}, within the grace"


def _read(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _spent(case: Case) -> int:
    return sum(log["outcome"] == "retryable" for log in case.logs)


def _clock(instant: datetime) -> str:
    return f"{instant:%H:%M:%S.%f}"
