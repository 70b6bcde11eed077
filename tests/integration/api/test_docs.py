"""Swagger UI and the OpenAPI document, which need no key and no other host."""

import re

import httpx

from integration.api.serving import send_without_key


async def test_document_is_served(shared_client: httpx.AsyncClient) -> None:
    answer = await send_without_key(shared_client, "GET", "/api/docs-json")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["openapi"].startswith("3.1")
    assert "/api/tasks/{task_id}/toggle" in answer.json()["paths"]


async def test_page_and_all_it_loads_come_from_here(shared_client: httpx.AsyncClient) -> None:
    page = await send_without_key(shared_client, "GET", "/api/docs")

    loaded = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page.text)
    assert page.headers["content-type"].startswith("text/html")
    assert len(loaded) == 3
    for path in loaded:
        asset = await send_without_key(shared_client, "GET", path)
        assert path.startswith("/api/docs/")
        assert asset.status_code == 200
        assert asset.headers["content-type"].partition(";")[0] in ("text/css", "text/javascript")


async def test_page_may_not_ask_other_hosts(shared_client: httpx.AsyncClient) -> None:
    page = await send_without_key(shared_client, "GET", "/api/docs")

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
