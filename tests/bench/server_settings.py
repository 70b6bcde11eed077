"""ADAPTER. Settings of the servers that change what a bench finds, as the servers themselves say them."""

from collections.abc import Mapping

import asyncpg

from bench.peers.servers import management
from tocsin_local.urls import StackUrls

POSTGRESQL = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
    "autovacuum",
    "max_connections",
    "track_commit_timestamp",
)
RABBITMQ = ("mem_limit", "disk_free_limit")


async def read(urls: StackUrls) -> Mapping[str, Mapping[str, str]]:
    """By server. RabbitMQ knows its own some seconds after its start."""
    return {"PostgreSQL": await _postgresql(urls), "RabbitMQ": await _rabbitmq(urls)}


async def _postgresql(urls: StackUrls) -> dict[str, str]:
    connection = await asyncpg.connect(urls.database_url)
    try:
        return {name: await connection.fetchval("SELECT current_setting($1)", name) for name in POSTGRESQL}
    finally:
        await connection.close()


async def _rabbitmq(urls: StackUrls) -> dict[str, str]:
    async with management(urls) as broker, broker.get("/api/nodes") as answer:
        (node,) = await answer.json()
    return {name: str(node[name]) for name in RABBITMQ if name in node}
