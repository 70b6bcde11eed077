"""PURE. What the dashboard shows of all tasks and executions, from the rows that tell it."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tocsin_api.moments import Aware

MAX_SAMPLE = 10_000
"""Of so many executions the lateness is looked at: of more it would take longer, and tell no more."""


class ExecutionsToday(msgspec.Struct, frozen=True, kw_only=True):
    """Executions that are scheduled for today, by the state that they are in."""

    due: Annotated[int, Meta(description="no sender has taken them yet")] = 0
    waiting: Annotated[int, Meta(description="for a retry, a limit, or their turn in a replay")] = 0
    running: Annotated[int, Meta(description="a sender has them")] = 0
    succeeded: Annotated[int, Meta(description="posted")] = 0
    failed: Annotated[int, Meta(description="given up")] = 0
    missed: Annotated[int, Meta(description="owed in an outage and not run, by `catchUp`")] = 0
    skipped: Annotated[int, Meta(description="not run, by `overlap`")] = 0
    expired: Annotated[int, Meta(description="not run in time, by `expiresAfterSeconds`")] = 0
    cancelled: Annotated[int, Meta(description="their task was stopped or deleted")] = 0


class Lateness(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How long after their instant, and their jitter, today's executions began."""

    p50_ms: Annotated[float | None, Meta(description="null where none has been posted")]
    p99_ms: Annotated[float | None, Meta(description="null where none has been posted")]
    executions: Annotated[int, Meta(description=f"so many were looked at: the newest, at most {MAX_SAMPLE}")]
    is_sample: Annotated[bool, Meta(description="whether there may be more")]


class Stats(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All tasks and executions at a glance. Today is the day in UTC; of deleted tasks only the lateness counts."""

    total: Annotated[int, Meta(description="all tasks")]
    active: Annotated[int, Meta(description="tasks that run by their schedules")]
    inactive: Annotated[int, Meta(description="tasks that people have stopped")]
    failed: Annotated[int, Meta(description="tasks that Tocsin has stopped")]
    executions_today: Annotated[
        ExecutionsToday, Meta(description="those that are scheduled for today, by the state that they are in")
    ]
    success_rate: Annotated[
        float | None, Meta(description="of today's executions that succeeded or failed: 0 to 1; null: none has")
    ]
    lateness: Annotated[Lateness, Meta(description="how long after their instant today's executions began")]
    waiting: Annotated[int, Meta(description="executions that wait, of whatever day")]
    failed_executions: Annotated[int, Meta(description="executions that have failed, of whatever day")]
    next_due: Annotated[
        Aware | None,
        Meta(
            description="when a schedule comes next, as the leading scheduler said seconds ago; null: nothing "
            "will be due, none leads, or all are paused"
        ),
    ]
    as_of: Annotated[Aware, Meta(description="when all this was read")]


Row = Mapping[str, Any]


def stats(now: Row, tasks: Iterable[Row], today: Iterable[Row], lateness: Row) -> Stats:
    """From the answers to the statements of `stats_sql`."""
    by_status = {row["status"]: row["tasks"] for row in tasks if row["status"] != "DELETED"}
    executions = ExecutionsToday(**{row["state"]: row["executions"] for row in today})
    p50, p99 = lateness["percentiles"] or (None, None)
    return Stats(
        total=sum(by_status.values()),
        active=by_status.get("ACTIVE", 0),
        inactive=by_status.get("INACTIVE", 0),
        failed=by_status.get("FAILED", 0),
        executions_today=executions,
        success_rate=_share(executions.succeeded, executions.failed),
        lateness=Lateness(
            p50_ms=p50,
            p99_ms=p99,
            executions=lateness["executions"],
            is_sample=lateness["executions"] == MAX_SAMPLE,
        ),
        waiting=now["waiting"],
        failed_executions=now["failed_executions"],
        next_due=now["next_due"],
        as_of=now["as_of"],
    )


def _share(succeeded: int, failed: int) -> float | None:
    return round(succeeded / (succeeded + failed), 4) if succeeded + failed else None
