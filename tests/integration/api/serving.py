"""The application under test, on this process's event loop, and what the tests send to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tocsin_api.app import create_app
from tocsin_common.settings import ApiSettings

API_KEY = "the-key-of-this-test"
WEBHOOK_TOKEN = "a-very-secret-token_WXYZ"  # noqa: S105 - no real one
WEBHOOK_URL = f"https://discord.com/api/webhooks/123456789012345678/{WEBHOOK_TOKEN}"
MASKED_URL = "https://discord.com/api/webhooks/123456789012345678/…WXYZ"


def api_settings(database_url: str, sealing_keys: str) -> ApiSettings:
    """Without RabbitMQ: only the tests of hints need it."""
    return ApiSettings(
        database_url=database_url,
        database_pool_size=8,
        rabbitmq_url="amqp://guest:broker-password@127.0.0.1:1/",
        sealing_keys=sealing_keys,
        api_key=API_KEY,
        connect_timeout_s=5,
        address_rate_limit_per_minute=0,  # all tests come from one address
    )


def task_body() -> dict[str, Any]:
    """A valid body that creates a task."""
    return {
        "name": "Morning",
        "schedule": "0 9 * * 1-5",
        "webhookUrl": WEBHOOK_URL,
        "payload": {"content": "Good morning", "allowed_mentions": {"parse": []}},
    }


async def send_without_key(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, Any] | None = None
) -> httpx.Response:
    """As somebody who was not given the API key."""
    request = client.build_request(method, f"http://api{path}")
    del request.headers["X-API-KEY"]
    request.headers.update(headers or {})
    return await client.send(request)


@asynccontextmanager
async def serve(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client, with the API key, of an API that runs on these settings."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # two spellings of ASGI
    headers = {"X-API-KEY": settings.api_key}
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client,
    ):
        yield client
