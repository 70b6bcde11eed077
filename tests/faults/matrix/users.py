"""SHELL. What users do in the middle of a fault: create tasks over the API, asking again where no answer comes."""

import asyncio
from datetime import datetime
from uuid import UUID

import httpx

from faults.matrix.load import every
from faults.matrix.scene import Scene
from tocsin_local.oracle import WatchedTask

AGAIN_S = 0.1
EVERY_S = 5
NAMED = "created in the middle of a fault"
NOT_ONCE = "SELECT count(*) FROM (SELECT FROM tasks WHERE name LIKE $1 GROUP BY name HAVING count(*) > 1) AS twice"


async def create_task(scene: Scene, number: int, api: int) -> None:
    """Ask that API, then the other one and so on until one answers; each time with the same Idempotency-Key."""
    name = f"{NAMED}, {number}"
    schedule = every(EVERY_S)
    wanted: dict[str, object] = {
        "name": name,
        "schedule": schedule,
        "webhookUrl": scene.load.urls[number % len(scene.load.urls)],
        "payload": {"content": "hello"},
    }
    while (answer := await _ask(scene.api(api), wanted)) is None:
        api = 3 - api
        await asyncio.sleep(AGAIN_S)
    if answer.status_code != httpx.codes.CREATED:
        scene.problems.append(f"I1: the API refuses a task: {answer.status_code} {answer.text}")
        return
    task = answer.json()
    created_at = datetime.fromisoformat(task["createdAt"])
    scene.load.tasks.append(WatchedTask(UUID(task["id"]), name, schedule, created_at))


async def check(scene: Scene) -> None:
    """That each that was asked for is there once."""
    if twice := await scene.ask(NOT_ONCE, f"{NAMED}%"):
        scene.problems.append(f"I1: {twice} tasks were asked for once and are there twice")


async def _ask(api: httpx.AsyncClient, wanted: dict[str, object]) -> httpx.Response | None:
    try:
        answer = await api.post("/api/tasks", json=wanted, headers={"Idempotency-Key": str(wanted["name"])})
    except httpx.TransportError:
        return None
    return None if answer.is_server_error else answer
