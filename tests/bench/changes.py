"""SHELL. A change over REST until the leader holds it, at 50 changes a second.

Each change gives another task another schedule. The leader holds it when it logs, at debug level, that it has
applied everything up to a transaction id above the change's own.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import aiohttp
import asyncpg

from bench import events, schedules
from bench.events import Event
from bench.figures import at_most, row
from bench.stage import SCHEDULER, Stage
from tocsin_local.errors import StackError
from tocsin_local.report import Row
from tocsin_local.summary import percentile

TASKS = 10_000
SCHEDULES = 1000
RUNS = 3
CHANGES = 500  # a run
WARM_UP = 50  # changes before the first run: connections and caches
INTERVAL = timedelta(milliseconds=20)
TIMEOUT = aiohttp.ClientTimeout(total=10)
LAST_S = 5.0  # what was changed last is held by then, even if its hint was lost
NEW_SCHEDULE = "30 4 * * 1-5"
P99 = at_most(100)

XIDS = """
SELECT c.n, r.xid::text::bigint AS xid
FROM unnest($1::uuid[]) WITH ORDINALITY AS c (task_id, n) JOIN task_revisions r USING (task_id)
WHERE r.revision = 2 ORDER BY c.n
"""


class Change(NamedTuple):
    """One PATCH that was answered."""

    task_id: UUID
    sent_at: datetime
    answered_at: datetime


async def measure(stage: Stage) -> list[Row]:
    """How long changes took, over several runs on different tasks."""
    await stage.prepare(TASKS, schedules.far_off(SCHEDULES, datetime.now(UTC)))
    stage.services.start(["api"])
    await stage.lead(SCHEDULER, stage.with_settings(LOG_LEVEL="debug"))
    headers = {"X-API-KEY": stage.services.api_key}
    async with aiohttp.ClientSession(stage.services.api_url, headers=headers, timeout=TIMEOUT) as session:
        await _change(session, range(WARM_UP))
        runs = []
        for run in range(RUNS):
            first = WARM_UP + run * CHANGES
            runs.append(await _change(session, range(first, first + CHANGES)))
    await asyncio.sleep(LAST_S)
    async with stage.database() as database:
        held = [await _held(database, stage, run) for run in runs]
    return _rows(runs, held)


def _rows(runs: Sequence[Sequence[Change]], held: Sequence[Sequence[datetime]]) -> list[Row]:
    sent = [
        [_ms(at - change.sent_at) for change, at in zip(*run, strict=True)] for run in zip(runs, held, strict=True)
    ]
    answers = [[_ms(change.answered_at - change.sent_at) for change in run] for run in runs]
    return [
        row("change_held_p99", [percentile(run, 99) for run in sent], "ms", P99),
        row("change_held_p50", [percentile(run, 50) for run in sent], "ms"),
        row("change_answered_p99", [percentile(run, 99) for run in answers], "ms"),
        row("change_answered_p50", [percentile(run, 50) for run in answers], "ms"),
    ]


async def _change(session: aiohttp.ClientSession, numbers: range) -> list[Change]:
    """Change these tasks, each at its time, however long the answers to others take."""
    begin = datetime.now(UTC)
    async with asyncio.TaskGroup() as group:
        tasks = []
        for n, number in enumerate(numbers):
            await asyncio.sleep((begin + n * INTERVAL - datetime.now(UTC)).total_seconds())
            tasks.append(group.create_task(_patch(session, UUID(int=number))))
    return [task.result() for task in tasks]


async def _patch(session: aiohttp.ClientSession, task_id: UUID) -> Change:
    sent_at = datetime.now(UTC)
    async with session.patch(f"/api/tasks/{task_id}", json={"schedule": NEW_SCHEDULE}) as answer:
        body = await answer.text()
        if not answer.ok:
            raise StackError(f"The API answered {answer.status} to a change: {body}")
    return Change(task_id, sent_at, datetime.now(UTC))


async def _held(database: asyncpg.Connection, stage: Stage, run: Sequence[Change]) -> list[datetime]:
    """When the leader held each change of a run."""
    xids = [each["xid"] for each in await database.fetch(XIDS, [change.task_id for change in run])]
    applied = list(events.all_of(stage.log(SCHEDULER), "changes.applied"))
    if len(xids) != len(run) or not applied or _position(applied[-1]) <= max(xids):
        raise StackError(f"The leader never told that it holds all {len(run)} changes.")
    return [applied[bisect_right(applied, xid, key=_position)].at for xid in xids]


def _position(applied: Event) -> int:
    return int(applied.facts["position"])


def _ms(time: timedelta) -> float:
    return time.total_seconds() * 1000
