"""Health, which needs no key."""

import httpx
import msgspec

from integration.api.serving import send_without_key, serve
from tocsin_common.settings import ApiSettings


async def test_api_is_ready_without_rabbitmq(shared_client: httpx.AsyncClient) -> None:
    live = await send_without_key(shared_client, "GET", "/health/live")
    ready = await send_without_key(shared_client, "GET", "/health/ready")

    assert (live.status_code, live.json()) == (200, {"status": "alive"})
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "postgresql": "ready", "rabbitmq": "away"}


async def test_database_without_tables_is_not_ready(settings: ApiSettings, empty_database_url: str) -> None:
    async with serve(msgspec.structs.replace(settings, database_url=empty_database_url)) as client:
        answer = await client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json() == {"status": "unready", "postgresql": "not migrated", "rabbitmq": "away"}
