"""APIs are hit."""

import asyncio
from functools import partial

from faults.matrix import patience, users
from faults.matrix.fault import Fault
from faults.matrix.scene import Scene

KILLS = 20
TASKS = 5  # that are being created at each kill
LOCK = "LOCK TABLE tasks IN SHARE MODE"
"""Whoever writes waits; whoever reads does not."""
WAIT = """
SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE NOT granted AND application_name LIKE 'tocsin-api@%:' || $1
"""
"""For the table, or for another API that does the same for the same client."""


async def kill_in_mid_transaction(scene: Scene) -> None:
    """Each time while it creates tasks, and waits for a lock to do so. Whether they are there, nobody was told."""
    for kill in range(KILLS):
        await kill_once(kill % 2 + 1, scene)
    await users.check(scene)


async def kill_once(number: int, scene: Scene) -> None:
    """The one with that number."""
    part = scene.parts[f"api-{number}"]
    async with scene.database.acquire() as connection, asyncio.TaskGroup() as users_of_it:
        async with connection.transaction():
            await connection.execute(LOCK)
            for _ in range(TASKS):
                users_of_it.create_task(users.create_task(scene, api=number))
            await patience.eventually(partial(scene.ask, WAIT, str(part.pid)))
            await part.kill()
        await part.start()
    await part.ready()


ROWS = (
    Fault(
        "api_killed_in_mid_transaction",
        f"An API is killed while it creates tasks, {KILLS} times; its clients ask again",
        kill_in_mid_transaction,
        bound_s=30,
    ),
)
