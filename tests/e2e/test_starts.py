"""Processes that start before their servers are there, and on a database without tables."""

import asyncio

import asyncpg
import pytest

from e2e.conftest import API_KEY, client_of
from e2e.processes import free_port
from relay import Relay
from tocsin_common import revisions


@pytest.mark.parametrize("role", ["schedule", "send"])
async def test_sigterm_ends_a_start_that_waits_for_a_server(start, role):
    away = f"amqp://127.0.0.1:{free_port()}/"
    process = await start("tocsin-dispatcher", role, RABBITMQ_URL=away)
    await process.logged("broker.unavailable")

    status = await process.stop()

    assert status == 0


async def test_apis_that_start_at_once_on_an_empty_database_migrate_it_and_serve(empty_database_url, start):
    ports = [free_port(), free_port()]

    for port in ports:
        await start(
            *("tocsin-api", "serve"),
            DATABASE_URL=empty_database_url,
            MIGRATION_DATABASE_URL=empty_database_url,
            MIGRATE_ON_START="1",
            PORT=str(port),
            API_KEY=API_KEY,
        )
    answers = await asyncio.gather(*(ready(port) for port in ports))

    assert answers == ["ready", "ready"]
    connection = await asyncpg.connect(empty_database_url)
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == revisions.known()[0]
    assert await connection.fetchval("SELECT count(*) FROM scheduler_lease") == 1
    await connection.close()


async def ready(port: int) -> str:
    async with client_of(port) as client:
        return (await client.get("/health/ready")).json()["postgresql"]


async def test_an_api_that_is_to_migrate_waits_for_the_database(empty_database_url, start):
    async with Relay(empty_database_url) as relay:
        await relay.cut()
        port = free_port()
        process = await start(
            *("tocsin-api", "serve"),
            DATABASE_URL=relay.url,
            MIGRATION_DATABASE_URL=relay.url,
            MIGRATE_ON_START="1",
            PORT=str(port),
            API_KEY=API_KEY,
        )
        await process.logged("database.unavailable")
        await relay.restore()
        await process.logged("api.started")

        assert await ready(port) == "ready"
        assert await process.stop() == 0
