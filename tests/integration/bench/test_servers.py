"""What a bench asks servers themselves: their settings, and how much work they still have."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import asyncpg
import pytest

from bench import server_settings
from bench.peers import servers as places
from tocsin_local.urls import StackUrls

BUSY = "busy"


@pytest.fixture
async def channel(rabbitmq_url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    async with await aio_pika.connect(rabbitmq_url) as connection:
        yield await connection.channel()


async def test_settings_are_those_that_the_server_has(servers: StackUrls, database: asyncpg.Connection) -> None:
    found = await server_settings.read(servers)

    assert found["PostgreSQL"].keys() == set(server_settings.POSTGRESQL)
    assert found["PostgreSQL"]["fsync"] == await database.fetchval("SHOW fsync")
    assert found["RabbitMQ"].keys() <= set(server_settings.RABBITMQ)


async def test_a_table_has_so_many_rows(database_url: str, database: asyncpg.Connection) -> None:
    await database.execute("CREATE TABLE jobs AS SELECT generate_series(1, 7)")

    assert await places.rows(database_url, "jobs") == 7


async def test_a_queue_of_which_the_broker_has_not_counted_anything_is_not_taken_for_empty(
    servers: StackUrls, rabbitmq_url: str, channel: aio_pika.abc.AbstractChannel
) -> None:
    quorum: dict[str, Any] = {"x-queue-type": "quorum"}
    queue = await channel.declare_queue(BUSY, durable=True, arguments=quorum)
    await channel.default_exchange.publish(aio_pika.Message(b"a job"), BUSY)
    await queue.get()  # and hold it

    assert await places.messages(servers, urlsplit(rabbitmq_url).path.removeprefix("/")) == 1
