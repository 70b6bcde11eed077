"""What these tests ask RabbitMQ's management API and wait for."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest

from tocsin_local import ports
from tocsin_local.stack import StackUrls
from waiting import WAIT_S


@pytest.fixture
def closed_port() -> int:
    """A port of loopback on which nothing listens."""
    return ports.choose()


@pytest.fixture(scope="module")
async def shared_database_url(servers: StackUrls, database_template: str) -> AsyncIterator[str]:
    """A migrated database for the tests of one module, which leave it as they found it."""
    name = f"test_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{database_template}"')
    yield urlsplit(servers.database_url)._replace(path=f"/{name}").geturl()
    await admin.execute(f'DROP DATABASE "{name}"')
    await admin.close()


@pytest.fixture
async def management(servers: StackUrls) -> AsyncIterator[httpx.AsyncClient]:
    """RabbitMQ's management API."""
    async with httpx.AsyncClient(
        base_url=f"{servers.management_url}/api/",
        auth=(servers.management_user, servers.management_password),
        timeout=WAIT_S,
    ) as client:
        yield client


@pytest.fixture
def look_up(management: httpx.AsyncClient, rabbitmq_url: str) -> Callable[[str], Awaitable[Any]]:
    """Read one kind of thing (`queues`, `bindings` …) of the test's virtual host."""

    async def look_up(kind: str) -> Any:
        answer = await management.get(f"{kind}{urlsplit(rabbitmq_url).path}")
        answer.raise_for_status()
        return answer.json()

    return look_up
