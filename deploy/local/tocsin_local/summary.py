"""PURE. The demo's summary: figures from the fates of what was owed, for people and for programs."""

from collections.abc import Collection, Sequence
from math import ceil
from uuid import UUID

from tocsin_local.oracle import LIMITED, Fate, lateness_ms
from tocsin_local.report import REPORTED, Row, once

EXECUTIONS = "executions"
MEANINGS = {
    "owed": "instants of the tasks' schedules in the window",
    "delivered": "answered 2xx at least once",
    "retried": "an attempt failed, another followed",
    "limited": "held back by the webhook's limit, or answered 429",
    "answered_429": "POSTs that the limit refused",
    "lost": "owed, and never answered 2xx",
    "doubled": "answered 2xx more than once",
    "early": "posted before their instant",
    "unexpected": "POSTs of executions that nobody owes",
    "logged": "with a success in the API's log",
    "restarted": "processes and servers that died and were started again",
    "discord_owed": "owed to DISCORD_WEBHOOK_URL in the window",
    "discord_delivered": "of those, with a success in the API's log",
    "lateness_p50": "arrival minus scheduled-for, first attempts of",
    "lateness_p99": "executions neither retried nor limited",
}

DOUBLED = (
    "  Delivery is at least once: a sender that is killed between an answer and its record",
    "  posts once more; the receiver knows the execution by the same webhook-id.",
)
MOST_NAMED = 10


def rows(fates: Sequence[Fate], *, unexpected: int) -> list[Row]:
    """What is judged and told of the owed executions; `unexpected` counts POSTs that nobody owes."""
    owed = len(fates)
    delivered = sum(fate.successes > 0 for fate in fates)
    answered_429 = sum(post.status == LIMITED for fate in fates for post in fate.posts)
    return [
        once("owed", owed, EXECUTIONS, bound="> 0", ok=owed > 0),
        once("delivered", delivered, EXECUTIONS, bound="= owed", ok=delivered == owed),
        once("retried", sum(fate.retried for fate in fates), EXECUTIONS),
        once("limited", sum(fate.limited for fate in fates), EXECUTIONS),
        once("answered_429", answered_429, "POSTs"),
        zero("lost", owed - delivered),
        zero("doubled", sum(fate.successes > 1 for fate in fates)),
        zero("early", sum(fate.early for fate in fates)),
        zero("unexpected", unexpected, "POSTs"),
        *_lateness(fates),
    ]


def log_rows(window: Collection[UUID], discord: Collection[UUID] | None, in_log: Collection[UUID]) -> list[Row]:
    """What the API's log tells: executions of `window` and `discord` (None: not asked for) with a success."""
    found = len(set(window) & set(in_log))
    rows = [once("logged", found, EXECUTIONS, bound="= owed", ok=found == len(window))]
    if discord is not None:
        found = len(set(discord) & set(in_log))
        rows += [
            once("discord_owed", len(discord), EXECUTIONS),
            once("discord_delivered", found, EXECUTIONS, bound="= discord_owed", ok=found == len(discord)),
        ]
    return rows


def restarted(count: int) -> Row:
    """The row of processes and servers that died."""
    return once("restarted", count, "processes")


def zero(name: str, value: int, unit: str = EXECUTIONS) -> Row:
    """The row of a figure that must be 0."""
    return once(name, value, unit, bound="= 0", ok=value == 0)


def broken(fates: Sequence[Fate]) -> list[str]:
    """The first executions that were lost, doubled or early, each with what became of its POSTs."""
    found = [fate for fate in fates if fate.successes != 1 or fate.early]
    return [_told(fate) for fate in found[:MOST_NAMED]]


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank: the least of `values` (not empty) that `percent` of them do not exceed."""
    return sorted(values)[max(ceil(len(values) * percent / 100), 1) - 1]


def table(rows: Sequence[Row]) -> list[str]:
    """The rows for people: name, value, whether it is as it must be, what it means."""
    lines = []
    for row in rows:
        value = f"{row.value:.1f} ms" if row.unit == "ms" else f"{row.value:g}"
        mark = "" if row.bound == REPORTED else "ok" if row.ok else "BROKEN"
        lines.append(f"  {row.name:<17} {value:>9}  {mark:<6} {MEANINGS.get(row.name, '')}".rstrip())
    if any(row.name == "doubled" and not row.ok for row in rows):
        lines += ["", *DOUBLED]
    return lines


def _told(fate: Fate) -> str:
    task, instant = fate.owed
    posts = ", ".join(f"{post.status or 'no answer'} at {post.arrived_at:%H:%M:%S.%f}" for post in fate.posts)
    return f"BROKEN: {task.name}, scheduled for {instant:%H:%M:%S}: {posts or 'no POST'}"


def _lateness(fates: Sequence[Fate]) -> list[Row]:
    plain = [
        lateness_ms(fate.owed, fate.posts[0])
        for fate in fates
        if fate.posts and not fate.retried and not fate.limited
    ]
    if not plain:
        return []
    return [once(f"lateness_p{p}", round(percentile(plain, p), 1), "ms") for p in (50, 99)]
