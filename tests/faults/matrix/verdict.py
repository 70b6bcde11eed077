"""PURE. Whether a run kept I1 to I3: what was owed, against rows, the log of attempts and the receiver's POSTs.

I1: every owed instant is accounted for by exactly one row in exactly one terminal state; `failed` is what has used
all its attempts.
I2: extra POSTs only where an answer was not received and recorded, with the same execution id.
I3: nothing early.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal, NamedTuple
from uuid import UUID

from e2e.oracle import TERMINAL, Account, Row
from tocsin_common.messages import execution_id
from tocsin_local.oracle import Fate, fates
from tocsin_local.post import Post

Log = Mapping[str, Any]
"""A row of `task_logs`."""
ATTEMPTS = 4
"""Of an execution, that may fail: 1 + `maxRetry` of all tasks of a run."""
Kind = Literal["retry", "not received", "not recorded", "unexplained"]
"""Why an execution was posted again; the two in the middle: what came of the answer to the POST before."""


class Rules(NamedTuple):
    """The settings that decide."""

    grace: timedelta
    """What is not older always fires."""
    post_timeout: timedelta
    """A claim outlives its POST by at least this much: nobody else has the execution for so long."""
    ends: Container[str]
    """The terminal states that this run may come to."""
    hostile: Container[UUID] = frozenset()
    """Tasks whose receivers misbehave."""
    hostile_ends: Container[str] = frozenset()
    """The terminal states that those may come to."""

    def ends_of(self, task_id: UUID) -> Container[str]:
        """Those that a task's executions may come to."""
        return self.hostile_ends if task_id in self.hostile else self.ends


class Counts(NamedTuple):
    """What a run came to."""

    owed: int
    posts: int
    extra_explained: int
    """Second POSTs where the answer to the first was not received and recorded."""
    extra_unexplained: int
    missed: int
    """Owed, and counted by a missed row."""
    failed: int
    lost: int
    """Owed, and neither posted with success nor in a terminal state that is allowed here."""
    early: int


class Verdict(NamedTuple):
    """`problems` say what is not as it must be; each begins with its invariant."""

    counts: Counts
    problems: list[str]
    again: Mapping[str, int] = {}
    """POSTs that were not an execution's first, by `Kind`."""


def judge(account: Account, logs: Sequence[Log], rules: Rules) -> Verdict:
    """Nothing may be open or under way any more."""
    due = account.owed()
    rows = {execution_id(row["task_id"], row["scheduled_for"]): row for row in account.rows}
    ranges = account.ranges()
    recorded = _by_execution(logs)
    found = [f"I1: {text}" for text in (*account.unowed_rows(due), *account.miscounted(due))]
    found += [f"I1: {text}" for text in _too_soon(account.rows, rules.grace)]
    found += [f"I2: {text}" for text in account.unowed_posts(due)]
    counted: Counter[str] = Counter()
    again: Counter[str] = Counter()
    for number, fate in zip(due, fates(due, account.posts), strict=True):
        standing = len(ranges.standing_for(fate.owed))
        ends = rules.ends_of(fate.owed.task.task_id)
        lost = _wrong(fate, rows.get(number), standing, recorded[number], ends)
        kinds = [
            kind(*pair, recorded[number], n, rules.post_timeout) for n, pair in enumerate(pairwise(fate.posts), 1)
        ]
        state = rows[number]["state"] if number in rows else ""
        found += _misspent(fate, state, recorded[number])
        again.update(kinds)
        counted.update(lost=lost is not None, early=fate.early, missed=standing > 0, failed=state == "failed")
        found += [f"I1: {_named(fate)} {text}" for text in [lost] if text]
        found += [
            f"I2: {_named(fate)} was posted again without a reason" for each in kinds if each == "unexplained"
        ]
        found += [f"I3: {_named(fate)} was posted early"] * fate.early
    return Verdict(_counts(len(due), len(account.posts), counted, again), found, again)


def kind(post: Post, following: Post, logs: Sequence[Log], number: int, post_timeout: timedelta) -> Kind:
    """Why the POST that follows the `number`th of an execution was made, by the attempts that `logs` tell of."""
    before = [log for log in logs if log["created_at"] < following.arrived_at]
    if any(log["outcome"] == "succeeded" for log in before):
        return "unexplained"
    if len(before) >= number:  # each attempt so far was recorded, and as none that succeeded
        return "not received" if post.succeeded else "retry"
    return "not recorded" if following.arrived_at - post.arrived_at >= post_timeout else "unexplained"


def _wrong(fate: Fate, row: Row | None, standing: int, logs: Sequence[Log], ends: Container[str]) -> str | None:
    if row is None or row["state"] == "missed":
        if standing != 1:
            return (
                "is not there" if row is None and not standing else f"has {standing} missed rows standing for it"
            )
        if fate.posts:
            return "is missed and was posted"
        return None if "missed" in ends else "is missed"
    state = row["state"]
    if standing:
        return f"is {state}, and a missed row stands for it too"
    if state not in TERMINAL:
        return f"is still {state}"
    if state == "succeeded" and not fate.successes:
        return "is recorded as a success that nobody answered with one"
    if state != "succeeded" and any(log["outcome"] == "succeeded" for log in logs):
        return f"is {state}, and an attempt is recorded as a success"
    return None if state in ends else f"is {state}"


def _misspent(fate: Fate, state: str, logs: Sequence[Log]) -> Iterator[str]:
    """Whether it failed with attempts left, or has had too many."""
    spent = sum(log["outcome"] == "retryable" for log in logs)
    if spent > ATTEMPTS:
        yield f"I2: {_named(fate)} has had {spent} of {ATTEMPTS} attempts"
    elif state == "failed" and spent < ATTEMPTS:
        yield f"I1: {_named(fate)} has failed after {spent} of {ATTEMPTS} attempts"


def _too_soon(rows: Sequence[Row], grace: timedelta) -> Iterator[str]:
    for row in rows:
        if row["state"] == "missed" and row["created_at"] - row["scheduled_for"] < grace:
            yield f"{_second(row['scheduled_for'])} is missed since {_second(row['created_at'])}, within the grace"


def _by_execution(logs: Sequence[Log]) -> Mapping[UUID, Sequence[Log]]:
    found: dict[UUID, list[Log]] = defaultdict(list)
    for log in logs:
        found[execution_id(log["task_id"], log["scheduled_for"])].append(log)
    return found


def _named(fate: Fate) -> str:
    posts = ", ".join(f"{post.status or 'no answer'} at {post.arrived_at:%H:%M:%S.%f}" for post in fate.posts)
    return f"{fate.owed.task.task_id} at {_second(fate.owed.scheduled_for)} ({posts or 'no POST'})"


def _second(instant: datetime) -> str:
    return f"{instant:%H:%M:%S}"


def _counts(owed: int, posts: int, counted: Mapping[str, int], again: Mapping[str, int]) -> Counts:
    return Counts(
        owed=owed,
        posts=posts,
        extra_explained=again.get("not received", 0) + again.get("not recorded", 0),
        extra_unexplained=again.get("unexplained", 0),
        missed=counted.get("missed", 0),
        failed=counted.get("failed", 0),
        lost=counted.get("lost", 0),
        early=counted.get("early", 0),
    )
