"""Everything is hit in turn while users change tasks."""

from faults.matrix import editors, users
from faults.matrix.fault import NOT_RECORDED, SWEPT_S, Burst, Fault
from faults.matrix.rows import api, broker, database, scheduler, sender
from faults.matrix.scene import Scene

ROUNDS = 3


async def kill_in_turn(scene: Scene) -> None:
    """The leader, an API, a sender, RabbitMQ and PostgreSQL; each change is answered, by which API soever."""
    async with editors.editing(scene):
        for number in range(ROUNDS):
            await scheduler.kill_once(scene)
            await api.kill_once(number % 2 + 1, scene)
            await sender.kill_once(scene)
            await broker.kill_once(scene)
            await database.kill_once(scene)
    editors.show(scene)
    await users.check(scene)


ROWS = (
    Fault(
        "killed_while_tasks_change",
        f"Leader, API, sender, RabbitMQ and PostgreSQL are killed in turn, {ROUNDS} times; users change tasks",
        kill_in_turn,
        bound_s=SWEPT_S,
        burst=Burst(500, 5),
        repeats=NOT_RECORDED,
    ),
)
