"""APIs are hit."""

import asyncio
from functools import partial

from faults.matrix import patience, recovery, users
from faults.matrix.fault import SOON_S, Fault
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
    async with users.creating(scene):
        waiting = []
        for kill in range(KILLS):
            waiting.append(await kill_once(kill % 2 + 1, scene))
            recovery.note_now(scene)
    scene.hit(sum(map(bool, waiting)), KILLS, f"kills cut off transactions, {sum(waiting)} in all")


async def kill_once(number: int, scene: Scene) -> int:
    """The one with that number: how many transactions it had open then."""
    part = scene.parts[f"api-{number}"]
    async with scene.database.acquire() as connection, asyncio.TaskGroup() as users_of_it:
        async with connection.transaction():
            await connection.execute(LOCK)
            for _ in range(TASKS):
                users_of_it.create_task(users.create_task(scene, api=number))
            waiting: int = await patience.eventually(partial(scene.ask, WAIT, str(part.pid)))
            await part.kill()
            scene.fault_is_over()
        await part.start()
    await part.ready()
    return waiting


ROWS = (
    Fault(
        "api_killed_in_mid_transaction",
        f"An API is killed while it creates tasks, {KILLS} times; its clients ask again",
        kill_in_mid_transaction,
        bound_s=SOON_S,
    ),
)
