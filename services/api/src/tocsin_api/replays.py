"""SHELL. The route that brings failed executions back: those that are named, or those that a filter finds."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
import structlog
from litestar import Request, post
from msgspec import Meta, UnsetType

from tocsin_api import replay_sql
from tocsin_api.execution_fields import CHECKS, ReplayFilter, ReplayRequest, replay_rule
from tocsin_api.execution_sql import ExecutionFilter
from tocsin_api.inputs import read_body
from tocsin_api.moments import Aware, period
from tocsin_api.postgresql import Row
from tocsin_api.replay_sql import BEFORE_ALL, Key, Replaying
from tocsin_api.resources import Injected, Resources
from tocsin_common.messages import Job, execution_id

MAX_REPLAYED = 10_000  # a request: at 10 a second that is nearly three hours of POSTs
BATCH = 500  # executions a statement, whose rows are locked for some tens of milliseconds
REPLAYED = "replayed"
BOUND_S = 10.0  # no batch begins later, so that a request ends in time on a busy database too

_log = structlog.get_logger(__name__)


class Refused(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many were not brought back, by what is against it."""

    unknown: Annotated[int, Meta(description="there is no such execution")] = 0
    task_deleted: Annotated[int, Meta(description="the task was deleted")] = 0
    succeeded: Annotated[int, Meta(description="it has succeeded, or an attempt of it has")] = 0
    not_failed: Annotated[int, Meta(description="it is in another state than failed")] = 0
    too_old: Annotated[int, Meta(description="its day may soon be removed: see LOG_RETENTION_DAYS")] = 0
    task_failed: Annotated[int, Meta(description="the task is FAILED: start it, or make it INACTIVE, first")] = 0


RESULTS = {field.name: field.encode_name for field in msgspec.structs.fields(Refused)}
"""How the answer calls what the database says is against a replay."""


Result = Annotated[
    str,
    Meta(
        title="ReplayResult",
        description=f"{REPLAYED}, or what of `refused` it counts as",
        extra_json_schema={"enum": [REPLAYED, *RESULTS.values()]},
    ),
]


class NamedReplay(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of one execution that was named."""

    execution_id: Annotated[UUID, Meta(description="made of taskId and scheduledFor")]
    task_id: Annotated[UUID, Meta(description="whose run it is")]
    scheduled_for: Annotated[Aware, Meta(description="for when it is owed")]
    result: Result
    next_at: Annotated[Aware | None, Meta(description="when it is due")]


class Replay(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a replay did, or in a dry run would have done."""

    dry_run: Annotated[bool, Meta(description="whether it was only counted")]
    matched: Annotated[int, Meta(description="those replayed, refused and remaining")]
    replayed: Annotated[int, Meta(description="brought back")]
    refused: Annotated[Refused, Meta(description="not brought back, by what is against it")]
    remaining: Annotated[int, Meta(description="left to another request: one replays 10,000 at most")]
    up_to: Annotated[
        Aware | None, Meta(description="with a filter: scheduledFor of the last one that was looked at")
    ]
    last_at: Annotated[Aware | None, Meta(description="when the last one is due")]
    executions: Annotated[list[NamedReplay], Meta(description="each that was named; empty with a filter")]


@post("/api/executions/replay", status_code=202)
async def replay_executions(request: Request[Any, Any, Any], resources: Injected) -> Replay:
    """Bring failed executions back to waiting with all their chances, the oldest first and one after the other."""
    wanted = read_body(
        request.headers.get("content-type"), await request.body(), ReplayRequest, CHECKS, replay_rule
    )
    replay = await _replay(resources, wanted)
    if replay.replayed and not replay.dry_run:
        _log.info("executions.replayed", executions=replay.replayed)
    return replay


async def _replay(resources: Resources, wanted: ReplayRequest) -> Replay:
    spacing = timedelta(seconds=1) / wanted.rate_per_second
    how = Replaying(resources.retention, None, spacing, resources.give_up_after)
    if isinstance(wanted.filter, UnsetType):
        assert not isinstance(wanted.executions, UnsetType)  # noqa: S101 - for the type checker: see replay_rule
        keys = list(dict.fromkeys((each.scheduled_for, each.task_id) for each in wanted.executions))
        return await _replay_named(resources, keys, how, dry_run=wanted.dry_run)
    if wanted.dry_run:
        return await _count_matching(resources, _failed(wanted.filter))
    return await _replay_matching(resources, _failed(wanted.filter), how)


async def _replay_named(resources: Resources, keys: list[Key], how: Replaying, *, dry_run: bool) -> Replay:
    if dry_run:
        rows = await replay_sql.judge_replays(resources.pool, keys, how.retention)
    else:
        rows = await replay_sql.replay_named(resources.pool, keys, how)
        _announce(resources, rows)
    by_key = {_key(row): row for row in rows}
    lines = [_line(by_key[key]) for key in keys]
    return _report(_results(rows), last_at=_last_at(rows), executions=lines, dry_run=dry_run)


async def _count_matching(resources: Resources, which: ExecutionFilter) -> Replay:
    results = Counter(await replay_sql.count_replays(resources.pool, which, resources.retention))
    del results["task_deleted"]  # the list does not show these either
    remaining = max(results[None] - MAX_REPLAYED, 0)
    results[None] -= remaining
    return _report(results, remaining=remaining, dry_run=True)


async def _replay_matching(resources: Resources, which: ExecutionFilter, how: Replaying) -> Replay:
    rows, is_all = await _replay_batches(resources, which, how)
    last = _key(rows[-1]) if rows else BEFORE_ALL
    remaining = 0 if is_all else await replay_sql.count_executions(resources.pool, which, after=last)
    up_to = last[0] if rows else None
    return _report(_results(rows), remaining=remaining, up_to=up_to, last_at=_last_at(rows))


async def _replay_batches(resources: Resources, which: ExecutionFilter, how: Replaying) -> tuple[list[Row], bool]:
    """What was looked at, and whether that is all.

    Each batch is of what comes after the one before: what fails again meanwhile has had its turn.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + BOUND_S
    rows: list[Row] = []
    replayed = 0
    while (limit := min(BATCH, MAX_REPLAYED - replayed)) and clock() < deadline:
        after = _key(rows[-1]) if rows else BEFORE_ALL
        batch = await replay_sql.replay_matching(resources.pool, which, how, after=after, limit=limit)
        _announce(resources, batch)
        rows += batch
        replayed += _results(batch)[None]
        if len(batch) < limit:
            return rows, True
        if last_at := _last_at(batch):
            how = how._replace(first_at=last_at + how.spacing)
    return rows, False


def _announce(resources: Resources, rows: Iterable[Row]) -> None:
    replayed = (row for row in rows if row["refusal"] is None)
    resources.hints.announce_jobs(
        (Job(row["task_id"], row["scheduled_for"], row["destination"]), row["wait_s"]) for row in replayed
    )


def _failed(filter_: ReplayFilter) -> ExecutionFilter:
    between = period(filter_.date_from or None, filter_.date_to or None)
    return ExecutionFilter(filter_.task_id or None, "failed", filter_.reason or None, *between)


def _results(rows: list[Row]) -> Counter[str | None]:
    """How many there are by what is against their replay; None is nothing."""
    return Counter(row["refusal"] for row in rows)


def _report(
    results: Counter[str | None],
    *,
    remaining: int = 0,
    up_to: datetime | None = None,
    last_at: datetime | None = None,
    executions: list[NamedReplay] | None = None,
    dry_run: bool = False,
) -> Replay:
    return Replay(
        dry_run=dry_run,
        matched=results.total() + remaining,
        replayed=results[None],
        refused=Refused(**{name: results[name] for name in RESULTS}),
        remaining=remaining,
        up_to=up_to,
        last_at=last_at,
        executions=executions or [],
    )


def _last_at(rows: list[Row]) -> datetime | None:
    return max((row["next_at"] for row in rows if row["next_at"] is not None), default=None)


def _line(row: Row) -> NamedReplay:
    return NamedReplay(
        execution_id=execution_id(row["task_id"], row["scheduled_for"]),
        task_id=row["task_id"],
        scheduled_for=row["scheduled_for"],
        result=REPLAYED if row["refusal"] is None else RESULTS[row["refusal"]],
        next_at=row["next_at"],
    )


def _key(row: Row) -> Key:
    return row["scheduled_for"], row["task_id"]
