"""PURE. Whether a run kept I1 to I3: what was owed, against rows, the log of attempts and the receiver's POSTs.

I1: every owed instant is accounted for by exactly one row in exactly one terminal state; `failed` is what has used
all its attempts; a POST comes to its own task's webhook, with its own payload.
I2: extra POSTs only where an answer was not received and recorded, with the same execution id.
I3: nothing early: no row, no attempt, no POST.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from e2e.oracle import Account
from faults.matrix import attempts, cases, owed
from faults.matrix.attempts import Log, Loss
from faults.matrix.cases import CANCELLED, Case, Rules
from faults.matrix.edits import NO_EDITS, Edits
from tocsin_local.oracle import Owed, fates, lateness_ms
from tocsin_local.post import Post

Key = tuple[UUID, datetime]
"""Of an execution: its task and its instant."""


class Records(NamedTuple):
    """What the database has of attempts."""

    logs: Sequence[Log]
    losses: Sequence[tuple[Key, Loss]] = ()


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
    states: Mapping[str, int] = {}
    """What is owed, by the state that it came to."""
    latest_s: float = 0.0
    """From its instant to its first POST, of the execution for which that took longest."""


def judge(account: Account, records: Records, rules: Rules, edits: Edits = NO_EDITS) -> Verdict:
    """Nothing may be open or under way any more. `edits`: what is owed beside the tasks that stay as they are."""
    due = _due(account, edits)
    found = [*edits.problems]
    found += [f"I1: {text}" for text in (*account.unowed_rows(due), *account.miscounted(due))]
    found += [f"I1: {text}" for text in cases.missed_too_soon(account.rows, rules.grace)]
    found += [f"I2: {text}" for text in account.unowed_posts(due)]
    counted, again, states = Counter[str](), Counter[str](), Counter[str]()
    latest_s = 0.0
    for case in _cases(account, due, records):
        matched = attempts.match(case.fate.posts, case.logs, case.losses, rules.claim_ttl, silences=rules.silences)
        kinds = list(matched.repeats())
        ends = rules.ends_of(case.fate.owed.task.task_id, case.row) | (
            {CANCELLED} if edits.may_have_cancelled(case.row) else set()
        )
        lost, early = cases.why_lost(case, ends), list(cases.early(case))
        wrong = [lost] if lost else []
        wrong += edits.posted_while_stopped(case.row, case.fate.posts, case.logs, rules.claim_ttl)
        wrong += [*(cases.badly_recorded(case, case.row) if case.row else ()), *cases.misaddressed(case, rules)]
        found += [f"I1: {case} {text}" for text in wrong]
        found += [f"I2: {case} {text}" for text in (*matched.problems(), *cases.repeated(case, kinds, rules))]
        found += [f"I3: {case} {text}" for text in early]
        counted.update(lost=bool(lost), early=bool(early), missed=case.standing > 0)
        again.update(kinds)
        states[case.state] += 1
        if case.fate.posts:
            latest_s = max(latest_s, lateness_ms(case.fate.owed, case.fate.posts[0]) / 1000)
    counts = Counts(
        owed=len(due),
        posts=len(account.posts),
        extra_explained=again["not received"] + again["not recorded"],
        extra_unexplained=again["unexplained"],
        missed=counted["missed"],
        failed=states["failed"],
        lost=counted["lost"],
        early=counted["early"],
    )
    return Verdict(counts, found, dict(again), dict(states), latest_s)


def came_late(posts: Sequence[Post], judged: Counts) -> list[str]:
    """Those that came after all was judged, while processes ended: nothing may be posted any more."""
    return [f"I2: {post.execution_id} was posted when all had ended" for post in posts[judged.posts :]]


def _due(account: Account, edits: Edits) -> dict[UUID, Owed]:
    """All that is owed, and what is there of that which nobody could know not to be owed any more."""
    due = owed.until_ended([*account.tasks, *edits.owed]) | owed.by_number(edits.single)
    there = {(row["task_id"], row["scheduled_for"]) for row in account.rows}
    unseen = owed.until_ended(edits.unseen)
    return {n: each for n, each in unseen.items() if (each.task.task_id, each.scheduled_for) in there} | due


def _cases(account: Account, due: Mapping[UUID, Owed], records: Records) -> Iterator[Case]:
    rows = {(row["task_id"], row["scheduled_for"]): row for row in account.rows}
    ranges = account.ranges()
    logs: dict[Key, list[Log]] = defaultdict(list)
    losses: dict[Key, list[Loss]] = defaultdict(list)
    for log in records.logs:
        logs[log["task_id"], log["scheduled_for"]].append(log)
    for key, loss in records.losses:
        losses[key].append(loss)
    for fate in fates(due, account.posts):
        key = fate.owed.task.task_id, fate.owed.scheduled_for
        standing = len(ranges.standing_for(fate.owed))
        yield Case(fate, rows.get(key), standing, logs[key], losses[key])
