"""What the dispatcher's parts need: a pool, a broker connection, settings, and tasks in the database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import asyncpg
import pytest
from aio_pika.abc import AbstractChannel, AbstractRobustConnection
from prometheus_client import REGISTRY

from tocsin_common import broker, database, topology
from tocsin_common.messages import Job, decode_jobs
from tocsin_common.sealing import Sealer
from tocsin_common.settings import SchedulerSettings
from tocsin_dispatcher import metrics
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.scheduler.partitions import Partitions
from tocsin_dispatcher.sender.backoff import Backoff
from tocsin_dispatcher.sender.record import Recorder
from waiting import WAIT_S

DAY = datetime(2026, 3, 1, tzinfo=UTC)
"""The day whose partitions there are; it lies in the past, so everything owed on it is due."""
AddTask = Callable[..., Awaitable[UUID]]
AddExecution = Callable[..., Awaitable[Job]]


def counted(what: str, **labels: str) -> float:
    """What this process counts as tocsin_`what`_total."""
    return shown(f"{what}_total", **labels) or 0.0


def shown(what: str, **labels: str) -> float | None:
    """What this process shows as tocsin_`what`; None where it shows nothing."""
    values = [
        registry.get_sample_value(f"tocsin_{what}", labels)
        for registry in (REGISTRY, metrics.SCHEDULER, metrics.SENDER)
    ]
    return next((value for value in values if value is not None), None)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with await database.open_pool(database_url, size=8, name="test", timeout_s=10) as pool:
        yield pool


@pytest.fixture
async def partitions(pool: asyncpg.Pool) -> Partitions:
    partitions = Partitions(pool)
    await partitions.cover([DAY.date()])
    return partitions


@pytest.fixture
async def clock(pool: asyncpg.Pool) -> DatabaseClock:
    clock = DatabaseClock()
    clock.sample(await pool.fetchval("SELECT clock_timestamp()"))
    return clock


@pytest.fixture
async def connection(rabbitmq_url: str) -> AsyncIterator[AbstractRobustConnection]:
    async with await broker.connect(rabbitmq_url, name="test", timeout_s=10) as connection:
        yield connection


@pytest.fixture
async def operator(rabbitmq_url: str) -> AsyncIterator[AbstractChannel]:
    """Somebody else's channel, on which they may do everything to RabbitMQ."""
    async with await aio_pika.connect(rabbitmq_url) as connection:
        yield await connection.channel()


@pytest.fixture
async def publisher(connection: AbstractRobustConnection) -> Publisher:
    return await Publisher.open(connection, window=100, timeout_s=5)


@pytest.fixture
async def recorder(pool: asyncpg.Pool) -> AsyncIterator[Recorder]:
    """A sender's recorder, at work."""
    recorder = Recorder(pool, Backoff(1, 512, 0.2), batch=100, delay_s=0.005)
    running = asyncio.create_task(recorder.run())
    yield recorder
    running.cancel()


@pytest.fixture
def scheduler_settings(database_url: str) -> Callable[..., SchedulerSettings]:
    def build(**changes: Any) -> SchedulerSettings:
        return SchedulerSettings(database_url=database_url, rabbitmq_url="amqp://unused", **changes)

    return build


@pytest.fixture
def add_task(pool: asyncpg.Pool, sealing_keys: str) -> AddTask:
    """Write a task and its first revision, as the api does."""
    sealer = Sealer.from_setting(sealing_keys)

    async def add(
        *,
        status: str = "ACTIVE",
        cron: str | None = "*/5 * * * * *",
        destination: str = "discord.com/1",
        effective_from: datetime = DAY,
        max_retry: int = 3,
        url: str = "https://discord.com/api/webhooks/1/token",
        expires_after_s: int | None = None,
        overlap: str = "allow",
        run_at: datetime | None = None,
        jitter_s: int = 0,
        catch_up: str = "latest",
    ) -> UUID:
        task_id = uuid4()
        await pool.execute(
            """
            WITH task AS (
                INSERT INTO tasks (id, name, schedule, webhook_url_sealed, webhook_url_hash, webhook_url_masked,
                                   destination, payload, max_retry, status, revision, effective_from, created_at,
                                   updated_at, run_at, jitter_s, catch_up, expires_after_s, overlap)
                VALUES ($1, 'a task', $2, $3, $4, 'masked', $5, '{"content": "hello"}', $6, $7, 1, $8, $8, $8,
                        $9, $10, $11, $12, $13)
                RETURNING *
            )
            INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, destination,
                                        run_at, jitter_s, catch_up)
            SELECT id, revision, effective_from, status, schedule, timezone, destination,
                   run_at, jitter_s, catch_up
            FROM task
            """,
            task_id,
            cron if run_at is None else None,
            sealer.seal(url, context=task_id.bytes),
            sealer.hash(url),
            destination,
            max_retry,
            status,
            effective_from,
            run_at,
            jitter_s,
            catch_up,
            expires_after_s,
            overlap,
        )
        return task_id

    return add


@pytest.fixture
def add_execution(pool: asyncpg.Pool, partitions: Partitions) -> AddExecution:
    """Write an execution in any state; `next_in_s` is when it may be claimed, from the database's now."""

    async def add(
        task_id: UUID,
        scheduled_for: datetime = DAY,
        *,
        state: str = "due",
        kind: str = "schedule",
        destination: str = "discord.com/1",
        next_in_s: float = -60.0,
        give_up_in_s: float = 86400.0,
        seq: int = 0,
        failures: int = 0,
        lost_claims: int = 0,
        jitter_ms: int = 0,
    ) -> Job:
        await pool.execute(
            """
            INSERT INTO executions (scheduled_for, task_id, kind, state, destination, next_at, give_up_at, seq,
                                    failures, lost_claims, jitter_ms)
            VALUES ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6),
                    clock_timestamp() + make_interval(secs => $7), $8, $9, $10, $11)
            """,
            scheduled_for,
            task_id,
            kind,
            state,
            destination,
            next_in_s,
            give_up_in_s,
            seq,
            failures,
            lost_claims,
            jitter_ms,
        )
        return Job(task_id, scheduled_for, destination)

    return add


async def announced(connection: AbstractRobustConnection, count: int) -> list[Job]:
    """The first `count` jobs on the work queue, those that come through a tier included."""
    found: list[Job] = []
    channel = await connection.channel()
    _, queue = await topology.declare_jobs(channel)
    async with asyncio.timeout(WAIT_S), queue.iterator(no_ack=True) as messages:
        async for message in messages:
            found += decode_jobs(message.body).jobs
            if len(found) >= count:
                break
    return found
