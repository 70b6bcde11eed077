"""All tasks and executions at a glance."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from integration.api.owed import add_execution, make_partitions
from integration.api.serving import serve, task_body
from tocsin_common.settings import ApiSettings

STATS = "/api/tasks/dashboard/stats"
MS = timedelta(milliseconds=1)

ADD_LOG = """
INSERT INTO task_logs (scheduled_for, task_id, seq, execution_time, status, outcome, retry_count, duration_ms,
                       message)
VALUES ($1, $2, $3, $4, 'SUCCESS', 'succeeded', 0, 12, 'HTTP 204')
"""

LEAD = "UPDATE scheduler_lease SET next_due_at = $1, expires_at = clock_timestamp() + $2::interval"


@pytest.fixture
async def midnight(database: asyncpg.Connection) -> datetime:
    """When today began, by the database's clock; there is a place for all days."""
    await make_partitions(database)
    today: datetime = await database.fetchval("SELECT date_trunc('day', clock_timestamp(), 'UTC')")
    return today


async def add_task(client: httpx.AsyncClient, **fields: Any) -> str:
    task_id: str = (await client.post("/api/tasks", json={**task_body(), **fields})).json()["id"]
    return task_id


async def test_tasks_and_executions_are_counted(
    client: httpx.AsyncClient, database: asyncpg.Connection, midnight: datetime
) -> None:
    task_id, deleted = await add_task(client), await add_task(client)
    await add_task(client, status="INACTIVE")
    for n, state in enumerate(("succeeded", "succeeded", "succeeded", "failed", "waiting", "due")):
        await add_execution(database, task_id, midnight + n * MS, state=state)
    await add_execution(database, task_id, midnight - MS, state="failed")
    await add_execution(database, task_id, midnight - 2 * MS, state="waiting")
    await add_execution(database, task_id, midnight + timedelta(days=1), state="due")
    for n, state in enumerate(("failed", "waiting")):
        await add_execution(database, deleted, midnight + n * MS, state=state)
    await client.delete(f"/api/tasks/{deleted}")

    shown = (await client.get(STATS)).json()

    assert (shown["total"], shown["active"], shown["inactive"], shown["failed"]) == (2, 1, 1, 0)
    today = {state: executions for state, executions in shown["executionsToday"].items() if executions}
    assert today == {"succeeded": 3, "failed": 1, "waiting": 1, "due": 1}
    assert (shown["successRate"], shown["waiting"], shown["failedExecutions"]) == (0.75, 2, 2)


async def test_lateness_is_that_of_first_attempts_without_their_jitter(
    client: httpx.AsyncClient, database: asyncpg.Connection, midnight: datetime
) -> None:
    task_id = await add_task(client)
    for n in range(100):
        instant = midnight + n * MS
        await add_execution(database, task_id, instant, state="succeeded", jitter_ms=1000)
        await database.execute(ADD_LOG, instant, task_id, 2, instant + (1000 + n) * MS)
        await database.execute(ADD_LOG, instant, task_id, 3, instant + 60_000 * MS)
    await add_execution(database, task_id, midnight + 100 * MS, state="due")
    await add_execution(database, task_id, midnight - MS, state="succeeded")
    await database.execute(ADD_LOG, midnight - MS, task_id, 1, midnight + timedelta(hours=1))

    shown = (await client.get(STATS)).json()

    assert shown["lateness"] == {"p50Ms": 49.0, "p99Ms": 98.0, "executions": 100, "isSample": False}


async def test_what_a_senders_clock_calls_early_was_in_time(
    client: httpx.AsyncClient, database: asyncpg.Connection, midnight: datetime
) -> None:
    task_id = await add_task(client)
    await add_execution(database, task_id, midnight, state="succeeded")
    await database.execute(ADD_LOG, midnight, task_id, 1, midnight - MS)

    shown = (await client.get(STATS)).json()

    assert (shown["lateness"]["p50Ms"], shown["lateness"]["p99Ms"]) == (0, 0)


@pytest.mark.parametrize(
    ("lease_s", "is_paused", "is_shown"), [(60, False, True), (0, False, False), (60, True, False)]
)
async def test_what_is_due_next_is_shown_while_somebody_leads_and_nothing_is_paused(
    client: httpx.AsyncClient, database: asyncpg.Connection, lease_s: int, is_paused: bool, is_shown: bool
) -> None:
    due_at = datetime(2030, 1, 31, 9, tzinfo=UTC)
    await database.execute(LEAD, due_at, timedelta(seconds=lease_s))
    if is_paused:
        await client.post("/api/scheduler/pause")

    shown = (await client.get(STATS)).json()

    assert shown["nextDue"] == ("2030-01-31T09:00:00Z" if is_shown else None)


async def test_all_who_ask_within_seconds_are_shown_the_same(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.get(STATS) for _ in range(20)))
    await add_task(client)
    later = await client.get(STATS)

    assert len({answer.text for answer in [*answers, later]}) == 1
    assert later.json()["total"] == 0


async def test_what_is_too_old_is_counted_anew(settings: ApiSettings) -> None:
    async with serve(msgspec.structs.replace(settings, stats_cache_s=0.001)) as client:
        before = (await client.get(STATS)).json()
        await add_task(client)
        after = (await client.get(STATS)).json()

    assert (before["total"], after["total"]) == (0, 1)
    assert before["asOf"] < after["asOf"]
