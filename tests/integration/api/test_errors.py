"""Errors are problem details (RFC 9457), whatever went wrong."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from integration.api.serving import API_KEY, send_without_key, serve
from relay import Relay
from tocsin_api.app import create_app
from tocsin_common.settings import ApiSettings

MEMBERS = {"type", "title", "status", "detail", "instance", "statusCode", "message", "requestId"}
PROTECTED = [
    ("GET", "/api/tasks"),
    ("POST", "/api/tasks"),
    ("GET", "/api/tasks/1"),
    ("PATCH", "/api/tasks/1"),
    ("DELETE", "/api/tasks/1"),
    ("POST", "/api/tasks/1/toggle"),
    ("POST", "/api/tasks/1/run"),
    ("POST", "/api/tasks/1/test"),
    ("GET", "/api/executions/1"),
    ("GET", "/api/scheduler"),
    ("POST", "/api/scheduler/pause"),
    ("POST", "/api/scheduler/resume"),
    ("GET", "/api/tasks/1/logs"),
    ("GET", "/api/logs"),
    ("GET", "/api/executions"),
    ("POST", "/api/executions/replay"),
    ("GET", "/api/keys"),
    ("POST", "/api/keys"),
    ("DELETE", "/api/keys/1"),
    ("GET", "//api/tasks"),
    ("GET", "/api/tasks/"),
]


def assert_problem(answer: httpx.Response, status: int, path: str) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(problem) - {"errors"} == MEMBERS
    assert problem["status"] == problem["statusCode"] == status
    assert problem["detail"] == problem["message"]
    assert problem["instance"] == path
    assert problem["requestId"] == answer.headers["x-request-id"]
    return problem


def http_scope(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> Any:
    """A request as a server passes it on."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }


@pytest.mark.parametrize("key", [None, "", "wrong", API_KEY.upper(), API_KEY + " x", "ключ".encode()])
@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_without_the_key_nothing_is_answered(
    shared_client: httpx.AsyncClient, method: str, path: str, key: str | bytes | None
) -> None:
    if key is None:
        answer = await send_without_key(shared_client, method, path)
    else:
        answer = await shared_client.request(method, f"http://api{path}", headers={"X-API-KEY": key})

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"]
    assert "X-API-KEY" in answer.json()["detail"]


async def test_key_is_known_by_a_header_in_any_case(shared_client: httpx.AsyncClient) -> None:
    answer = await send_without_key(shared_client, "GET", "/api/tasks", {"x-api-key": API_KEY})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/nothing", "/api/tasks/1/2/3", "/api/docs/other.js", "/schema"]
)
async def test_path_that_leads_nowhere_is_404(shared_client: httpx.AsyncClient, path: str) -> None:
    answer = await shared_client.get(f"{path}?token=secret")

    assert_problem(answer, 404, path)
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/api/tasks"), ("DELETE", "/api/logs"), ("POST", "/health/live")]
)
async def test_method_that_is_not_allowed_is_405_with_those_that_are(
    shared_client: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await shared_client.request(method, path)

    assert_problem(answer, 405, path)
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/keys", "GET, OPTIONS, POST"),
        ("/api/tasks", "GET, OPTIONS, POST"),
        ("/api/tasks/1", "DELETE, GET, OPTIONS, PATCH"),
        ("/health/live", "GET, OPTIONS"),
    ],
)
async def test_options_are_all_methods_of_the_path(
    shared_client: httpx.AsyncClient, path: str, methods: str
) -> None:
    answer = await shared_client.options(path)

    assert (answer.status_code, answer.headers["allow"]) == (204, methods)


async def test_body_of_more_than_1_mb_is_413(shared_client: httpx.AsyncClient) -> None:
    body = b'{"name": "' + b"x" * 1_000_000 + b'"}'

    answer = await shared_client.post("/api/tasks", content=body, headers={"Content-Type": "application/json"})

    assert "1 MB" in assert_problem(answer, 413, "/api/tasks")["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/tasks"),
        ("POST", "/api/scheduler/resume"),
        ("POST", "/api/tasks/x/toggle"),
        ("DELETE", "/api/keys/x"),
    ],
)
async def test_body_of_more_than_1_mb_is_413_also_where_nobody_reads_it(
    shared_client: httpx.AsyncClient, method: str, path: str
) -> None:
    body = b"x" * 1_000_001

    answer = await shared_client.request(method, path, content=body)
    without_key = await shared_client.request(method, path, content=body, headers={"X-API-KEY": "wrong"})

    assert_problem(answer, 413, path)
    assert without_key.status_code == 401


async def test_body_that_does_not_say_its_length_is_counted(shared_client: httpx.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 100_000

    answer = await shared_client.post("/api/tasks", content=body(), headers={"Content-Type": "application/json"})

    assert "content-length" not in answer.request.headers
    assert_problem(answer, 413, "/api/tasks")


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_body_that_is_not_said_to_be_json_is_415(
    shared_client: httpx.AsyncClient, shared_task: dict[str, Any], method: str, content_type: str | None
) -> None:
    path = "/api/tasks" if method == "POST" else f"/api/tasks/{shared_task['id']}"
    headers = {} if content_type is None else {"Content-Type": content_type}

    answer = await shared_client.request(method, path, content=b'{"name": "x"}', headers=headers)

    assert "application/json" in assert_problem(answer, 415, path)["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_body_that_is_no_json_object_is_400(
    shared_client: httpx.AsyncClient, shared_task: dict[str, Any], method: str, body: bytes
) -> None:
    path = "/api/tasks" if method == "POST" else f"/api/tasks/{shared_task['id']}"

    answer = await shared_client.request(method, path, content=body, headers={"Content-Type": "application/json"})

    assert assert_problem(answer, 400, path)["detail"].startswith("the body ")


async def test_bug_is_answered_with_the_request_id_and_nothing_from_inside(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await database.execute("DROP TABLE tasks")

    answer = await client.get("/api/tasks", headers={"X-Request-ID": "request-of-this-test"})

    problem = assert_problem(answer, 500, "/api/tasks")
    assert problem["requestId"] == "request-of-this-test"
    assert "relation" not in answer.text
    assert "tasks" not in problem["detail"]


async def test_client_that_goes_away_with_half_a_body_is_no_failure(
    settings: ApiSettings, log: list[dict[str, Any]]
) -> None:
    app = create_app(settings)
    headers = [(b"x-api-key", API_KEY.encode()), (b"content-type", b"application/json")]
    told = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    answered: list[Any] = []

    async def receive() -> Any:
        return next(told)

    async def send(message: Any) -> None:
        answered.append(message)

    async with app.lifespan():
        await app(http_scope("POST", "/api/tasks", headers), receive, send)

    assert answered[0]["status"] == 400
    assert [line["event"] for line in log if line["log_level"] == "error"] == []
    assert [line["status"] for line in log if line["event"] == "request.finished"] == [400]


@pytest.mark.parametrize("given", ["short", "x" * 65, "with a space", "semi;colons", "ünïcode-id".encode()])
async def test_request_id_that_is_not_fit_for_a_log_is_replaced(
    shared_client: httpx.AsyncClient, given: str | bytes
) -> None:
    answer = await shared_client.get("/health/live", headers={"X-Request-ID": given})

    assert len(answer.headers["x-request-id"]) == 32


@pytest.fixture
async def relay(database_url: str) -> AsyncIterator[Relay]:
    async with Relay(database_url) as relay:
        yield relay


async def test_database_that_is_away_is_503_until_it_is_back(
    settings: ApiSettings, relay: Relay, new_task: dict[str, Any]
) -> None:
    async with serve(msgspec.structs.replace(settings, database_url=relay.url)) as client:
        assert (await client.post("/api/tasks", json=new_task)).status_code == 201

        await relay.cut()
        read = await client.get("/api/tasks")
        written = await client.post("/api/tasks", json=new_task)
        ready = await client.get("/health/ready")
        live = await client.get("/health/live")
        await relay.restore()
        back = await client.get("/api/tasks")

    for answer in (read, written):
        assert_problem(answer, 503, "/api/tasks")
        assert int(answer.headers["retry-after"]) > 0
    assert (ready.status_code, ready.json()["postgresql"]) == (503, "away")
    assert live.status_code == 200
    assert back.json()["meta"]["total"] == 1


async def test_connections_that_the_database_ended_are_replaced(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await database.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'tocsin-api@%'"
        " AND datname = current_database()"
    )

    statuses = [(await client.get("/api/tasks")).status_code for _ in range(10)]

    assert statuses[-1] == 200
    assert set(statuses) <= {200, 503}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/tasks"),
        ("PATCH", "/api/tasks/{id}"),
        ("DELETE", "/api/tasks/{id}"),
        ("POST", "/api/tasks/{id}/toggle"),
        ("POST", "/api/tasks/{id}/run"),
        ("POST", "/api/tasks/{id}/test"),
        ("GET", "/api/scheduler"),
        ("POST", "/api/scheduler/pause"),
        ("POST", "/api/scheduler/resume"),
        ("POST", "/api/executions/replay"),
    ],
)
async def test_query_that_nobody_reads_is_refused_and_nothing_is_done(
    shared_client: httpx.AsyncClient, shared_task: dict[str, Any], method: str, path: str
) -> None:
    answer = await shared_client.request(method, f"{path.format(id=shared_task['id'])}?stauts=ACTIVE", json={})

    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["errors"]] == ["stauts"]
    assert (await shared_client.get(f"/api/tasks/{shared_task['id']}")).json()["status"] == "ACTIVE"
    assert (await shared_client.get("/api/scheduler")).json()["paused"] is False


async def test_probe_may_send_any_query(shared_client: httpx.AsyncClient) -> None:
    assert (await shared_client.get("/health/live?at=1")).status_code == 200


async def test_all_that_is_wrong_with_a_body_is_told_at_once_with_its_place(
    shared_client: httpx.AsyncClient,
) -> None:
    body = {
        "nmae": "x",
        "schedule": "@hourly",
        "maxRetry": 11,
        "webhookUrl": "https://discord.com/api/webhooks/1/token",
        "payload": {"tts": 1, "embeds": [{"color": -1}]},
    }

    answer = await shared_client.post("/api/tasks", json=body)

    assert {each["pointer"] for each in answer.json()["errors"]} == {
        "/nmae",
        "/name",
        "/maxRetry",
        "/payload/tts",
        "/payload/embeds/0/color",
    }
    assert "near is name" in answer.json()["detail"]
