"""What real processes log in production: JSON lines, one for each attempt and request, with their ids."""

import json
from collections import Counter

import asyncpg
import pytest

from e2e.conftest import API_KEY, client_of
from e2e.processes import Tocsin, free_port
from tocsin_common.messages import execution_id
from waiting import becomes_true

NOTHING_IS_OPEN = "SELECT NOT EXISTS (SELECT FROM executions WHERE state IN ('due', 'waiting', 'running'))"
REQUEST_ID = "a-request-of-this-test"
TASK = {
    "name": "a task",
    "schedule": "* * * * * *",
    "webhookUrl": "https://receiver.invalid/hook",  # a name that is never found
    "payload": {"content": "hello"},
    "maxRetry": 1,
}


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """Production, where no webhook is local."""
    ours = {name: value for name, value in environment.items() if name != "ALLOW_LOCAL_WEBHOOKS"}
    changes = {"ENVIRONMENT": "production", "ALLOWED_WEBHOOK_HOSTS": "receiver.invalid", "RETRY_FIRST_S": "0.1"}
    return {**ours, **changes, "BREAKER_FAILURES": "1000"}


def lines_of(process: Tocsin) -> list[dict]:
    return [json.loads(line) for line in process.output.decode().splitlines()]


async def test_production_logs_json_alone_with_one_line_an_attempt_and_a_request(
    start, scheduler: Tocsin, sender: Tocsin, database: asyncpg.Connection
):
    port = free_port()
    api = await start("tocsin-api", "serve", PORT=str(port), API_KEY=API_KEY)
    await api.logged("api.started")
    async with client_of(port) as client:
        answer = await client.post("/api/tasks", json=TASK, headers={"X-Request-ID": REQUEST_ID})
        await sender.logged("execution.failed")
        await client.post(f"/api/tasks/{answer.json()['id']}/toggle")
        await becomes_true(
            database, "SELECT count(*) = 0 FROM executions WHERE state IN ('due', 'waiting', 'running')"
        )
    for process in (api, sender, scheduler):
        await process.stop()

    lines = [line for process in (api, sender, scheduler) for line in lines_of(process)]
    assert all({"event", "level", "service", "timestamp"} <= line.keys() for line in lines)
    assert {line["service"] for line in lines} == {"api", "sender", "scheduler"}
    rows = await database.fetch("SELECT task_id, scheduled_for FROM task_logs")
    logged = Counter(line["execution_id"] for line in lines if line["event"] == "attempt.finished")
    assert logged == Counter(str(execution_id(row["task_id"], row["scheduled_for"])) for row in rows)
    assert all("execution_id" in line for line in lines if line["event"].startswith("execution."))
    [created] = [line for line in lines if line.get("request_id") == REQUEST_ID]
    assert (created["event"], created["path"], created["status"]) == ("request.finished", "/api/tasks", 201)
