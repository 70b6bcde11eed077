"""Lists of tasks: pages, filters, order."""

import httpx
import pytest

from integration.api.serving import task_body


@pytest.fixture(scope="module")
async def many(shared_client: httpx.AsyncClient) -> list[str]:
    """Five tasks; their names in the order in which they were created, the last one INACTIVE."""
    names = ["banana", "apple", "100% cherry", "under_score", "back\\slash"]
    for name in names:
        status = "INACTIVE" if name == names[-1] else "ACTIVE"
        await shared_client.post("/api/tasks", json={**task_body(), "name": name, "status": status})
    return names


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("", [4, 3, 2, 1, 0]),
        ("sort=-createdAt", [4, 3, 2, 1, 0]),
        ("sort=createdAt", [0, 1, 2, 3, 4]),
        ("sort=updatedAt", [0, 1, 2, 3, 4]),
        ("sort=-updatedAt", [4, 3, 2, 1, 0]),
        ("sort=name", [2, 1, 4, 0, 3]),
        ("sort=-name", [3, 0, 4, 1, 2]),
        ("status=ACTIVE&sort=createdAt", [0, 1, 2, 3]),
        ("status=INACTIVE", [4]),
        ("status=FAILED", []),
        ("search=APP", [1]),
        ("search=an", [0]),
        ("search=%25", [2]),
        ("search=_", [3]),
        ("search=%5C", [4]),
        ("search=n_n", []),
        ("search=%C3%BC", []),
        ("search=a&limit=2&sort=createdAt", [0, 1]),
        ("search=a&limit=2&sort=createdAt&page=2", [4]),
        ("limit=100&page=1&sort=createdAt", [0, 1, 2, 3, 4]),
        ("limit=2&page=4", []),
    ],
)
async def test_list_is_filtered_and_sorted(
    shared_client: httpx.AsyncClient, many: list[str], query: str, order: list[int]
) -> None:
    answer = await shared_client.get(f"/api/tasks?{query}")

    assert [task["name"] for task in answer.json()["data"]] == [many[n] for n in order]


async def test_list_tells_its_page_and_the_whole_count(shared_client: httpx.AsyncClient, many: list[str]) -> None:
    default = await shared_client.get("/api/tasks")
    last = await shared_client.get("/api/tasks?limit=2&page=3")

    assert default.json()["meta"] == {"page": 1, "limit": 10, "total": 5, "totalPages": 1}
    assert last.json()["meta"] == {"page": 3, "limit": 2, "total": 5, "totalPages": 3}
    assert [task["name"] for task in last.json()["data"]] == [many[0]]


async def test_empty_list_has_no_pages(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/tasks")

    assert answer.json() == {"data": [], "meta": {"page": 1, "limit": 10, "total": 0, "totalPages": 0}}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=99999999999999999999", "page"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=DELETED", "status"),
        ("status=", "status"),
        ("search=", "search"),
        ("search=a%00b", "search"),
        (f"search={'x' * 101}", "search"),
        ("sort=id", "sort"),
        ("sort=name;drop", "sort"),
        ("stauts=ACTIVE", "stauts"),
        ("page=1&page=2", "page"),
    ],
)
async def test_refused_query_is_named(shared_client: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await shared_client.get(f"/api/tasks?{query}")

    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["errors"]] == [field]
