"""What a fault is about to hit: the processes of the end to end tests, with much to do at one instant."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import aio_pika
import asyncpg
import pytest

import logins
from e2e.conftest import API_KEY, Start, receiver, start
from e2e.conftest import environment as short_waits
from e2e.processes import Tocsin
from e2e.stage import Stage
from faults import cast
from faults.burst import SIZE, Burst
from faults.cast import Cast
from faults.owing import Database, OwingTask, write_tasks
from faults.witness import Witness
from integration.api.serving import serve
from tocsin_common.sealing import Sealer
from tocsin_common.settings import ApiSettings
from tocsin_common.settings_reader import load
from tocsin_dispatcher.scheduler import lease_sql
from tocsin_local.receiver import Receiver
from tocsin_local.script import Script
from tocsin_local.urls import StackUrls
from waiting import becomes_true

SETTLE = "UPDATE scheduler_lease SET feed_xid = pg_current_xact_id(), database_id = $1"
"""As a leader leaves it that has seen every task."""

EACH_SECOND = 40
SOME = 3 * EACH_SECOND
SLOW = Script(delay_s=0.3)  # so that some POSTs are under way at any moment
HAVE_ENDED = "SELECT count(*) >= $1 FROM executions WHERE state = 'succeeded'"

BROUGHT_BACK_SOON = {"POST_TIMEOUT_S": "4", "CLAIM_TTL_S": "5", "SWEEP_PATIENCE_S": "3"}
"""Settings for what a lost broker had, or a dead sender."""

StartCast = Callable[..., Awaitable[Cast]]
StageAt = Callable[[StackUrls], AbstractAsyncContextManager[Stage]]
AtWork = Callable[[Stage], Awaitable[tuple[Tocsin, Tocsin]]]

__all__ = ["receiver", "short_waits", "start"]  # fixtures, too


@pytest.fixture
def environment(short_waits: dict[str, str]) -> dict[str, str]:
    """Nothing runs out because the machine has much to do, and the sweeper is the last to bring something back."""
    return {
        **short_waits,
        "FEED_POLL_S": "0.2",
        "LEASE_TTL_S": "4",
        "LEASE_HOLD_S": "3.5",
        "IN_FLIGHT_PER_DESTINATION": "100",
        "POST_TIMEOUT_S": "20",
        "DRAIN_TIMEOUT_S": "25",
        "CLAIM_TTL_S": "25",
        "SWEEP_PATIENCE_S": "30",
    }


@pytest.fixture
async def witness(database: Database) -> Witness:
    """One that looks on from the first row on."""
    witness = Witness(database)
    await witness.install()
    return witness


@pytest.fixture
async def burst(
    request: pytest.FixtureRequest,
    database: Database,
    receiver: Receiver,
    environment: dict[str, str],
) -> Burst:
    """A burst that is owed and held back; a test that need not have thousands says how many by its parameter."""
    await database.execute("UPDATE scheduler_lease SET watermark = clock_timestamp()")
    burst = Burst(database, receiver, getattr(request, "param", SIZE))
    await burst.prepare(Sealer.from_setting(environment["SEALING_KEYS"]))
    lease = await database.fetchrow(lease_sql.LEASE)
    await database.execute(SETTLE, lease["current_database_id"])
    return burst


@pytest.fixture
def start_cast(start: Start, burst: Burst) -> StartCast:
    """Starts a leader that will freeze in the middle of the burst, a standby and a sender."""
    return partial(cast.start_cast, start, burst)


@pytest.fixture
def stage_at(start: Start, environment: dict[str, str], receiver: Receiver) -> StageAt:
    """Tocsin at servers of its own, each process as the user that deployments give it."""

    @asynccontextmanager
    async def stage_at(urls: StackUrls) -> AsyncIterator[Stage]:
        here = {"DATABASE_URL": urls.database_url, "RABBITMQ_URL": urls.rabbitmq_url}
        settings = load(ApiSettings, {**environment, **here, "API_KEY": API_KEY})

        async def start_here(*command: str, **options: Any) -> Tocsin:
            login = logins.as_service(urls.database_url, urls, command[1])
            return await start(*command, **options, **{**here, "DATABASE_URL": login})

        async with (
            asyncpg.create_pool(urls.database_url, min_size=1, max_size=2) as database,
            await aio_pika.connect(urls.rabbitmq_url) as connection,
            serve(settings) as api,
        ):
            yield Stage(start_here, api, database, connection, receiver)

    return stage_at


@pytest.fixture
def at_work(environment: dict[str, str]) -> AtWork:
    """Lets tasks come each second and starts who works for them; returns once some have been done."""

    async def at_work(stage: Stage) -> tuple[Tocsin, Tocsin]:
        stage.webhook.script = SLOW
        since = await stage.database.fetchval(
            "UPDATE scheduler_lease SET watermark = clock_timestamp() RETURNING watermark"
        )
        sealer = Sealer.from_setting(environment["SEALING_KEYS"])
        tasks = [OwingTask("* * * * * *")] * EACH_SECOND
        await write_tasks(stage.database, sealer, stage.webhook.url, tasks, since)
        scheduler, sender = await stage.start("schedule"), await stage.start("send")
        await stage.ready()
        await becomes_true(stage.database, HAVE_ENDED, SOME)
        return scheduler, sender

    return at_work
