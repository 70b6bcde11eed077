"""ADAPTER. A place of a peer's own on the stage's servers, and how much work is in it."""

from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg

from bench.stage import Stage
from tocsin_local.urls import StackUrls


async def make_virtual_host(urls: StackUrls, name: str) -> str:
    """An empty virtual host; its AMQP URL."""
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    async with management(urls) as broker:
        await broker.delete(f"/api/vhosts/{name}", raise_for_status=False)
        await broker.put(f"/api/vhosts/{name}")
        await broker.put(f"/api/permissions/{name}/{urls.management_user}", json=everything)
    return f"{urls.rabbitmq_url.rstrip('/')}/{name}"


async def remove_virtual_host(urls: StackUrls, name: str) -> None:
    """With all that is in it."""
    async with management(urls) as broker:
        await broker.delete(f"/api/vhosts/{name}")


async def messages(urls: StackUrls, name: str) -> int:
    """How many a virtual host has, those at consumers included; what it says may be 5 s old."""
    async with management(urls) as broker, broker.get(f"/api/queues/{name}") as answer:
        return sum(queue.get("messages", 1) for queue in await answer.json())


async def rows(database_url: str, table: str) -> int:
    """How many a table has."""
    connection = await asyncpg.connect(database_url)
    try:
        return int(await connection.fetchval(f'SELECT count(*) FROM "{table}"'))  # noqa: S608 - a name of ours
    finally:
        await connection.close()


async def make_database(stage: Stage, name: str) -> str:
    """An empty database; its URL, without what only Tocsin understands."""
    await remove_database(stage, name)
    async with stage.database() as connection:
        await connection.execute(f'CREATE DATABASE "{name}"')
    return urlunsplit(urlsplit(stage.stack.urls.database_url)._replace(path=f"/{name}", query=""))


async def remove_database(stage: Stage, name: str) -> None:
    """With all that is in it, whoever is connected."""
    async with stage.database() as connection:
        with suppress(asyncpg.InvalidCatalogNameError):
            await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def management(urls: StackUrls) -> aiohttp.ClientSession:
    """The broker's HTTP API; an error is raised as such."""
    login = {"Authorization": aiohttp.encode_basic_auth(urls.management_user, urls.management_password)}
    return aiohttp.ClientSession(urls.management_url, headers=login, raise_for_status=True)
