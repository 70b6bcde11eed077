"""SHELL. What users do in the middle of a fault: they ask an API, and another one where no answer comes."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx

from faults.matrix.cases import Address
from faults.matrix.load import every
from faults.matrix.scene import Scene
from tocsin_local.oracle import WatchedTask

PATIENCE_S = 120.0
AGAIN_S = 0.1
EVERY_S = 5
NAMED = "created in the middle of a fault"
NOT_ONCE = "SELECT count(*) FROM (SELECT FROM tasks WHERE name LIKE $1 GROUP BY name HAVING count(*) > 1) AS twice"
EFFECTIVE_FROM = "SELECT effective_from FROM task_revisions WHERE task_id = $1 AND revision = 1"


async def ask(scene: Scene, method: str, path: str, *, api: int = 1, **options: Any) -> httpx.Response:
    """Ask that API, then the other one and so on, until one answers and not with an error of its own."""
    async with asyncio.timeout(PATIENCE_S):
        while (answer := await _answer(scene.api(api), method, path, **options)) is None:
            api = 3 - api
            await asyncio.sleep(AGAIN_S)
    return answer


async def create_task(scene: Scene, *, api: int) -> None:
    """Create one, at first at that API; however often it is asked for, with the same Idempotency-Key."""
    number = next(scene.numbers)
    name, schedule = f"{NAMED}, {number}", every(EVERY_S)
    wanted = {
        "name": name,
        "schedule": schedule,
        "webhookUrl": scene.load.urls[number % len(scene.load.urls)],
        "payload": {"content": name},
    }
    answer = await ask(
        scene, "POST", "/api/tasks", api=api, json=wanted, headers={"Idempotency-Key": f"task-{number}"}
    )
    if answer.status_code != httpx.codes.CREATED:
        scene.problems.append(f"I1: the API refuses a task: {answer.status_code} {answer.text}")
        return
    task_id = UUID(answer.json()["id"])
    effective_from: datetime | None = await scene.ask(EFFECTIVE_FROM, task_id)
    if effective_from is None:
        scene.problems.append(f"I1: the API says that it created {task_id}, and it is not there")
        return
    scene.load.tasks.append(WatchedTask(task_id, name, schedule, effective_from))
    webhook = scene.load.webhooks[number % len(scene.load.webhooks)]
    scene.load.addresses[task_id] = Address(webhook.webhook_id, name)


async def check(scene: Scene) -> None:
    """That each that was asked for is there once."""
    if twice := await scene.ask(NOT_ONCE, f"{NAMED}%"):
        scene.problems.append(f"I1: {twice} tasks were asked for once and are there twice")


async def _answer(api: httpx.AsyncClient, method: str, path: str, **options: Any) -> httpx.Response | None:
    try:
        answer = await api.request(method, path, **options)
    except httpx.TransportError:
        return None
    return None if answer.is_server_error else answer
