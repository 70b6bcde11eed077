"""SHELL. What users do in the middle of a fault: they ask an API, and another one where no answer comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
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
PAUSE_S = 1.0
"""From one task that users create to the next."""
NAMED = "created in the middle of a fault"
EFFECTIVE_FROM = "SELECT effective_from FROM task_revisions WHERE task_id = $1 AND revision = 1"
NOT_ONCE = "SELECT count(*) FROM (SELECT FROM tasks WHERE name LIKE $1 GROUP BY name HAVING count(*) > 1) AS twice"


async def ask(
    scene: Scene, method: str, path: str, *, api: int = 1, falls_over: bool = True, **options: Any
) -> httpx.Response:
    """Ask that API, then the other one and so on, until one answers and not with an error of its own.

    One that `falls_over` not is asked again and again.
    """
    async with asyncio.timeout(PATIENCE_S):
        while (answer := await _answer(scene.api(api), method, path, **options)) is None:
            api = 3 - api if falls_over else api
            await asyncio.sleep(AGAIN_S)
    return answer


async def create_task(scene: Scene, *, api: int, falls_over: bool = True) -> None:
    """Create one that stays as it is, at first at that API."""
    created = await create(scene, api=api, falls_over=falls_over, schedule=every(EVERY_S))
    if created is not None:
        scene.load.tasks.append(created[0])


async def create(
    scene: Scene, *, api: int, falls_over: bool = True, schedule: str = "", run_at: datetime | None = None
) -> tuple[WatchedTask, httpx.Response] | None:
    """Create a task, however often it is asked for: with the same Idempotency-Key.

    None where the API refuses, as it must where `run_at` has passed before anybody could answer.
    """
    number = next(scene.numbers)
    name = f"{NAMED}, {number}"
    wanted = {
        "name": name,
        # The last webhooks first: those that are told to misbehave are the first ones.
        "webhookUrl": scene.load.urls[-1 - number % len(scene.load.urls)],
        "payload": {"content": name},
        **({"schedule": schedule} if run_at is None else {"runAt": run_at.isoformat()}),
    }
    keyed = {"Idempotency-Key": f"task-{number}"}
    answer = await ask(scene, "POST", "/api/tasks", api=api, falls_over=falls_over, json=wanted, headers=keyed)
    if answer.status_code != httpx.codes.CREATED:
        has_passed = run_at is not None and run_at <= datetime.now(UTC)
        if not has_passed or answer.status_code != httpx.codes.BAD_REQUEST:
            scene.problems.append(f"I1: the API refuses a task: {answer.status_code} {answer.text}")
        return None
    task_id = UUID(answer.json()["id"])
    effective_from: datetime | None = await scene.ask(EFFECTIVE_FROM, task_id)
    if effective_from is None:
        scene.problems.append(f"I1: the API says that it created {task_id}, and it is not there")
        return None
    webhook = scene.load.webhooks[-1 - number % len(scene.load.webhooks)]
    scene.load.addresses[task_id] = Address(webhook.webhook_id, name)
    return WatchedTask(task_id, name, schedule, effective_from), answer


@asynccontextmanager
async def creating(scene: Scene) -> AsyncIterator[None]:
    """They create a task each second meanwhile, at both APIs in turn; when it ends, all are there."""
    async with asyncio.TaskGroup() as users:

        async def come() -> None:
            while True:
                api = next(scene.turns) % 2 + 1
                users.create_task(create_task(scene, api=api))
                await asyncio.sleep(PAUSE_S)

        coming = users.create_task(come())
        try:
            yield
        finally:
            coming.cancel()
    await check(scene)


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
