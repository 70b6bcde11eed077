"""What an API counts: requests by their routes, and hints that got lost."""

import httpx
import pytest
from prometheus_client import REGISTRY

from integration.api.serving import task_body
from waiting import eventually


def requests(method: str, route: str, status: str) -> float:
    labels = {"method": method, "route": route, "status": status}
    return REGISTRY.get_sample_value("tocsin_api_request_duration_seconds_count", labels) or 0.0


def hints_lost() -> float:
    return REGISTRY.get_sample_value("tocsin_api_hints_lost_total") or 0.0


@pytest.mark.parametrize(
    ("method", "path", "counted"),
    [
        ("GET", "/api/tasks?limit=1", ("GET", "/api/tasks", "2xx")),
        ("GET", "/api/tasks/018f0000-0000-7000-8000-000000000000", ("GET", "/api/tasks/{task_id}", "4xx")),
        ("GET", "/api/secret/secret", ("GET", "unknown", "4xx")),
        ("SECRET", "/api/secret", ("other", "unknown", "4xx")),
        ("GET", "/health/live", ("GET", "/health/live", "2xx")),
    ],
)
async def test_a_request_is_counted_by_its_route_and_never_by_what_a_client_made_up(
    client: httpx.AsyncClient, method: str, path: str, counted: tuple[str, str, str]
):
    before = requests(*counted)

    await client.request(method, path)

    assert requests(*counted) == before + 1


async def test_a_hint_that_rabbitmq_does_not_take_is_counted(client: httpx.AsyncClient):
    before = hints_lost()

    answer = await client.post("/api/tasks", json=task_body())

    assert answer.status_code == 201

    async def is_counted() -> bool:
        return hints_lost() == before + 1

    await eventually(is_counted)
