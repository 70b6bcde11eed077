"""SIGTERM ends a process in time, whatever has become of the servers meanwhile."""

import asyncio

import pytest

from e2e.processes import Tocsin
from relay import Relay
from tocsin_local.script import Script
from waiting import becomes_true, eventually

STOP_WITHIN_S = 15  # of the 30 s that orchestrators usually allow, with room for a busy machine
DRAIN_S = {"schedule": "2", "send": "5"}  # a sender's is at least that of a POST and 3 s more

LEASE_RAN_OUT = "SELECT expires_at < clock_timestamp() FROM scheduler_lease"
WORK_PILES_UP = "SELECT count(*) >= 2 FROM executions WHERE state = 'due'"
WORK_BEGINS = "SELECT count(*) >= 1 FROM executions"
WATERMARK_STANDS_STILL = "SELECT watermark < clock_timestamp() - interval '2 s' FROM scheduler_lease"


@pytest.mark.parametrize(
    ("role", "other", "is_up", "hangs"),
    [
        pytest.param("schedule", "send", "scheduler.leading", LEASE_RAN_OUT, id="scheduler"),
        pytest.param("send", "schedule", "sender.consuming", WORK_PILES_UP, id="sender"),
    ],
)
async def test_a_process_whose_database_is_frozen_stops_in_time(
    start, environment, receiver, create_task, database, role: str, other: str, is_up: str, hangs: str
):
    await start("tocsin-dispatcher", other)
    async with Relay(environment["DATABASE_URL"]) as relay:
        process = await start("tocsin-dispatcher", role, DATABASE_URL=relay.url, DRAIN_TIMEOUT_S=DRAIN_S[role])
        await process.logged(is_up)
        await create_task(receiver.add().url)
        await receiver.wait_for_posts(1)
        relay.freeze()
        await becomes_true(database, hangs)

        status = await asyncio.wait_for(process.stop(), STOP_WITHIN_S)

    assert status == 0


async def test_a_leader_that_stops_while_the_broker_is_away_releases_its_lease(
    start, environment, receiver, create_task, database
):
    async with Relay(environment["RABBITMQ_URL"]) as relay:
        scheduler = await start("tocsin-dispatcher", "schedule", RABBITMQ_URL=relay.url, DRAIN_TIMEOUT_S="1")
        await scheduler.logged("scheduler.leading")
        await create_task(receiver.add().url)
        await becomes_true(database, WORK_BEGINS)
        await relay.cut()
        await becomes_true(database, WATERMARK_STANDS_STILL)

        status = await asyncio.wait_for(scheduler.stop(), STOP_WITHIN_S)

    assert status == 0
    await scheduler.logged("lease.released")


@pytest.mark.parametrize(
    ("role", "other", "is_up"),
    [
        pytest.param("schedule", "send", "scheduler.leading", id="scheduler"),
        pytest.param("send", "schedule", "sender.consuming", id="sender"),
    ],
)
async def test_a_process_whose_broker_is_silent_stops_in_time(
    start, environment, receiver, create_task, database, role: str, other: str, is_up: str
):
    await start("tocsin-dispatcher", other)
    async with Relay(environment["RABBITMQ_URL"]) as relay:
        process = await start("tocsin-dispatcher", role, RABBITMQ_URL=relay.url, DRAIN_TIMEOUT_S=DRAIN_S[role])
        await process.logged(is_up)
        await create_task(receiver.add().url)
        await receiver.wait_for_posts(1)
        relay.freeze()
        await becomes_true(database, WATERMARK_STANDS_STILL if role == "schedule" else WORK_PILES_UP)

        status = await asyncio.wait_for(process.stop(), STOP_WITHIN_S)

    assert status == 0


async def test_a_sender_that_cannot_record_stops_in_time(
    start, environment, receiver, create_task, database, scheduler
):
    name = await database.fetchval("SELECT current_database()")
    webhook = receiver.add(Script(delay_s=1))
    async with Relay(environment["DATABASE_URL"]) as relay:
        sender = await start("tocsin-dispatcher", "send", DATABASE_URL=relay.url, DRAIN_TIMEOUT_S=DRAIN_S["send"])
        await sender.logged("sender.consuming")
        await create_task(webhook.url)
        await receiver.wait_for_posts(1)
        await relay.cut()
        await database.execute(
            f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'
        )  # as a standby is
        await sender.logged("outcomes.kept")
        await relay.restore()
        await eventually(lambda: was_refused(sender))

        status = await asyncio.wait_for(sender.stop(), STOP_WITHIN_S)

    assert status == 0


async def was_refused(sender: Tocsin) -> bool:
    """Whether it has tried to record where nothing may be written."""
    return any("ReadOnlySQLTransactionError" in line["error"] for line in sender.all_logged("outcomes.kept"))
