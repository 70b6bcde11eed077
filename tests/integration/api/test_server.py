"""The process that `tocsin-api serve` starts."""

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from environment import INHERITED
from integration.api.owed import make_partitions
from integration.api.serving import WEBHOOK_TOKEN, task_body
from tocsin_common.settings import ApiSettings
from waiting import becomes_true

COMMAND = str(Path(sys.executable).parent / "tocsin-api")


@pytest.fixture
def environment(settings: ApiSettings) -> dict[str, str]:
    """The settings as variables, with a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return {
        **INHERITED,
        "PORT": str(port),
        "DATABASE_URL": settings.database_url,
        "RABBITMQ_URL": settings.rabbitmq_url,
        "SEALING_KEYS": settings.sealing_keys,
        "API_KEY": settings.api_key,
        "CONNECT_TIMEOUT_S": "5",
    }


@asynccontextmanager
async def started(environment: dict[str, str], *arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        COMMAND, *arguments, env=environment, stdout=DEVNULL, stderr=PIPE, limit=1_000_000
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@asynccontextmanager
async def client_of(environment: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the process, as soon as that answers."""
    url = f"http://127.0.0.1:{environment['PORT']}"
    async with httpx.AsyncClient(base_url=url, headers={"X-API-KEY": environment["API_KEY"]}) as client:
        async with asyncio.timeout(30):
            while not await answers(client):
                pass
        yield client


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/live")).status_code == 200
    except httpx.TransportError:
        return False


async def stop(process: Process) -> list[dict[str, Any]]:
    """SIGTERM; returns the log, every line of which is JSON."""
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        _, errors = await process.communicate()
    return [json.loads(line) for line in errors.splitlines()]


async def test_what_waits_for_an_execution_is_answered_before_the_server_ends(
    environment: dict[str, str], database: asyncpg.Connection
) -> None:
    await make_partitions(database)
    async with started(environment, "serve") as process, client_of(environment) as client:
        task = (await client.post("/api/tasks", json=task_body())).json()
        waiting = asyncio.create_task(client.post(f"/api/tasks/{task['id']}/test"))
        await becomes_true(database, "SELECT EXISTS (SELECT FROM executions)")
        log = await stop(process)

    assert (await waiting).status_code == 202
    assert "api.drain_cut_short" not in {line["event"] for line in log}


async def test_server_answers_and_ends_with_0_on_sigterm(environment: dict[str, str]) -> None:
    async with started(environment, "serve") as process:
        async with client_of(environment) as client:
            ready = await client.get("/health/ready")
            tasks = await client.get("/api/tasks")
        log = await stop(process)

    assert (ready.status_code, tasks.status_code) == (200, 200)
    assert process.returncode == 0
    assert [line["event"] for line in log if line["event"].startswith("api.")] == ["api.started", "api.stopped"]


async def test_request_under_way_at_sigterm_is_answered(
    environment: dict[str, str], new_task: dict[str, Any], database: asyncpg.Connection
) -> None:
    async with started(environment, "serve") as process, client_of(environment) as client:
        task = (await client.post("/api/tasks", json=new_task)).json()
        async with database.transaction():
            await database.execute("SELECT FROM tasks FOR UPDATE")
            under_way = asyncio.create_task(client.post(f"/api/tasks/{task['id']}/toggle"))
            async with asyncio.timeout(10):
                while not await database.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND datname = current_database()"
                ):
                    pass
            process.send_signal(signal.SIGTERM)
            stopping = asyncio.create_task(process.communicate())
        answer = await under_way
        await stopping

    assert answer.json()["status"] == "INACTIVE"
    assert process.returncode == 0


async def test_concurrent_requests_are_logged_with_their_own_ids(
    environment: dict[str, str], new_task: dict[str, Any]
) -> None:
    async with started(environment, "serve") as process:
        async with client_of(environment) as client:
            task = (await client.post("/api/tasks", json=new_task)).json()
            paths = {f"request-{n}": f"/api/tasks/{task['id'] if n % 2 else n}" for n in range(100)}
            await asyncio.gather(*(client.get(path, headers={"X-Request-ID": id_}) for id_, path in paths.items()))
        log = await stop(process)

    statuses = {line["request_id"]: line["status"] for line in log if line["event"] == "request.finished"}
    assert {id_: statuses[id_] for id_ in paths} == {
        id_: 200 if path.endswith(task["id"]) else 400 for id_, path in paths.items()
    }


async def test_log_of_the_process_is_json_without_secrets(
    environment: dict[str, str], new_task: dict[str, Any]
) -> None:
    async with started(environment, "serve") as process:
        async with client_of(environment) as client:
            await client.post("/api/tasks", json=new_task)
            await client.get("/api/tasks", params={"key": environment["API_KEY"]})
        log = await stop(process)

    assert len(log) > 3
    for secret in (WEBHOOK_TOKEN, environment["API_KEY"], environment["SEALING_KEYS"], "broker-password"):
        assert secret not in json.dumps(log)


async def test_sigterm_ends_a_start_that_waits_for_the_database(environment: dict[str, str]) -> None:
    environment |= {"DATABASE_URL": "postgresql://user@127.0.0.1:1/x", "CONNECT_TIMEOUT_S": "60"}

    async with started(environment, "serve") as process:
        assert process.stderr is not None
        first = json.loads(await process.stderr.readline())
        log = await stop(process)

    assert first["event"] == "database.unavailable"
    assert log[-1]["event"] == "api.stopped"
    assert process.returncode == 0


async def test_port_that_is_taken_ends_the_start_with_one_line(environment: dict[str, str]) -> None:
    async with started(environment, "serve"), client_of(environment), started(environment, "serve") as second:
        _, errors = await second.communicate()

    assert second.returncode == 1
    assert errors.startswith(b"tocsin-api: cannot listen")
    assert errors.count(b"\n") == 1


async def test_database_that_does_not_exist_ends_the_start_with_one_line(environment: dict[str, str]) -> None:
    environment["DATABASE_URL"] += "_that_is_not_there"

    async with started(environment, "serve") as process:
        _, errors = await process.communicate()

    assert process.returncode == 1
    assert errors.startswith(b"tocsin-api: PostgreSQL refuses the connection")
    assert errors.count(b"\n") == 1


async def test_migrate_makes_an_empty_database_ready(environment: dict[str, str], empty_database_url: str) -> None:
    environment["DATABASE_URL"] = empty_database_url
    only = {name: environment[name] for name in ("PATH", "DATABASE_URL")}

    for _ in range(2):
        async with started(only, "migrate") as process:
            await process.communicate()
        assert process.returncode == 0

    async with started(environment, "serve"), client_of(environment) as client:
        assert (await client.get("/health/ready")).json()["postgresql"] == "ready"
