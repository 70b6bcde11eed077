"""What an operator sees of a running Tocsin in RabbitMQ's management console is what the documentation says."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from tocsin_local.receiver import Receiver
from tocsin_local.stack import StackUrls

DOCUMENT = Path(__file__).parents[2] / "docs" / "architecture.md"
HEADING = "## What an operator sees in RabbitMQ"
PROCESS = r"tocsin-{}@[\w.-]+:\d+"
PLACES = {
    "<api>": PROCESS.format("api"),
    "<scheduler>": PROCESS.format("scheduler"),
    "<sender>": PROCESS.format("sender"),
    "<n>": r"\d+",
    "<random>": "[0-9a-f]{8}",
}
SHOWN_WITHIN_S = 60
LOOK_EVERY_S = 0.1  # RabbitMQ publishes what it knows of a connection every 5 s


class Sight(NamedTuple):
    """One row of the table, or one thing in the console."""

    what: str
    name: str
    description: str


def documented() -> list[Sight]:
    section = DOCUMENT.read_text().partition(HEADING)[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| `([^`]+)` \| (.*?) ?\|$", section, re.MULTILINE)
    return [Sight(*row) for row in rows]


def matches(row: Sight, seen: Sight) -> bool:
    return row.what == seen.what and all(
        re.fullmatch(_pattern(expected), shown)
        for expected, shown in ((row.name, seen.name), (row.description, seen.description))
    )


def _pattern(text: str) -> str:
    pattern = re.escape(text)
    for place, meaning in PLACES.items():
        pattern = pattern.replace(re.escape(place), meaning)
    return pattern


Look = Callable[[], Awaitable[list[Sight]]]


@pytest.fixture
async def look(servers: StackUrls, rabbitmq_url: str) -> AsyncIterator[Look]:
    """Everything of Tocsin's that the console shows now."""
    vhost = urlsplit(rabbitmq_url).path
    login = (servers.management_user, servers.management_password)
    async with httpx.AsyncClient(base_url=f"{servers.management_url}/api", auth=login, timeout=10) as client:

        async def read(path: str) -> list[Any]:
            answer = await client.get(path)
            answer.raise_for_status()
            found: list[Any] = answer.json()
            return found

        async def look() -> list[Sight]:
            return [
                *(_declared("exchange", each) for each in await read(f"/exchanges{vhost}") if _is_own(each)),
                *(_declared("queue", each) for each in await read(f"/queues{vhost}")),
                *(_connection(each) for each in await read(f"/vhosts{vhost}/connections")),
                *(Sight("consumer", each["consumer_tag"], "") for each in await read(f"/consumers{vhost}")),
            ]

        yield look


def _is_own(exchange: dict[str, Any]) -> bool:
    """Every virtual host has some exchanges of RabbitMQ's own."""
    return exchange["name"] != "" and not exchange["name"].startswith("amq.")


def _declared(what: str, thing: dict[str, Any]) -> Sight:
    return Sight(what, thing["name"], thing.get("arguments", {}).get("description", "none"))


def _connection(connection: dict[str, Any]) -> Sight:
    properties = connection.get("client_properties", {})
    return Sight("connection", properties.get("connection_name", "?"), properties.get("information", "?"))


def test_the_documentation_names_each_kind_of_thing():
    assert {row.what for row in documented()} == {"exchange", "queue", "connection", "consumer"}


@pytest.mark.usefixtures("scheduler", "sender", "api")
async def test_the_console_shows_what_is_documented_and_nothing_else(receiver: Receiver, create_task, look: Look):
    webhook = receiver.add()
    await create_task(webhook.url)
    await receiver.wait_until(lambda: len(webhook.posts) >= 1)

    seen = await until_each_is_shown(documented(), look)

    unknown = [each for each in seen if not any(matches(row, each) for row in documented())]
    assert unknown == []


async def until_each_is_shown(rows: list[Sight], look: Look) -> list[Sight]:
    """What the console shows once each of `rows` is there and no connection is without its name."""
    try:
        async with asyncio.timeout(SHOWN_WITHIN_S):
            while True:
                seen = await look()
                missing = [row for row in rows if not any(matches(row, each) for each in seen)]
                if not missing and not any(each.name == "?" for each in seen):
                    return seen
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        raise TimeoutError(f"not shown: {missing}; shown: {seen}") from None
