"""What these tests ask RabbitMQ's management API and wait for."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tocsin_local import ports
from tocsin_local.urls import StackUrls
from waiting import WAIT_S


@pytest.fixture
def closed_port() -> int:
    """A port of loopback on which nothing listens."""
    return ports.choose()


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
