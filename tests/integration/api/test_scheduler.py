"""The routes under /api/scheduler."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg
import httpx
import pytest


@pytest.fixture
def client(shared_client: httpx.AsyncClient) -> httpx.AsyncClient:
    return shared_client


@pytest.fixture
async def database(shared_database: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """Each test finds nobody leading and no pause."""
    yield shared_database
    await shared_database.execute("UPDATE scheduler_pause SET paused_at = NULL")
    await shared_database.execute("UPDATE scheduler_lease SET holder = NULL, expires_at = '-infinity'")


async def test_scheduler_that_leads_is_shown_with_how_far_it_is(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await database.execute(
        """
        UPDATE scheduler_lease
        SET holder = 'tocsin-scheduler@host:1/0a', epoch = 7, expires_at = clock_timestamp() + interval '1 minute',
            watermark = clock_timestamp() - interval '90 seconds', tasks = 12, schedules = 3
        """
    )

    shown = (await client.get("/api/scheduler")).json()

    watermark = await database.fetchval("SELECT watermark FROM scheduler_lease")
    assert 90 <= shown.pop("lagSeconds") < 120
    assert datetime.fromisoformat(shown.pop("watermark")) == watermark
    assert shown == {
        "leader": "tocsin-scheduler@host:1/0a",
        "epoch": 7,
        "tasks": 12,
        "schedules": 3,
        "paused": False,
        "pausedAt": None,
    }


async def test_nobody_leads_where_the_lease_has_expired(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await database.execute("UPDATE scheduler_lease SET holder = 'somebody', expires_at = clock_timestamp()")

    assert (await client.get("/api/scheduler")).json()["leader"] is None


async def test_lag_of_a_watermark_that_lies_ahead_is_none(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await database.execute("UPDATE scheduler_lease SET watermark = clock_timestamp() + interval '1 minute'")

    assert (await client.get("/api/scheduler")).json()["lagSeconds"] == 0


async def test_pause_and_resume_answer_the_state_that_they_leave(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    paused = await client.post("/api/scheduler/pause")
    paused_at = await database.fetchval("SELECT paused_at FROM scheduler_pause")
    shown = await client.get("/api/scheduler")
    resumed = await client.post("/api/scheduler/resume")

    assert [answer.status_code for answer in (paused, shown, resumed)] == [200, 200, 200]
    for answer in (paused, shown):
        assert answer.json()["paused"] is True
        assert datetime.fromisoformat(answer.json()["pausedAt"]) == paused_at
    assert (resumed.json()["paused"], resumed.json()["pausedAt"]) == (False, None)


@pytest.mark.parametrize("action", ["pause", "resume"])
async def test_what_is_so_already_stays_as_it_is(
    client: httpx.AsyncClient, database: asyncpg.Connection, action: str
) -> None:
    first = (await client.post(f"/api/scheduler/{action}")).json()

    others = await asyncio.gather(*(client.post(f"/api/scheduler/{action}") for _ in range(5)))

    assert {answer.status_code for answer in others} == {200}
    assert {answer.json()["pausedAt"] for answer in others} == {first["pausedAt"]}
