"""Everything is hit in turn while users change tasks."""

from collections import Counter
from collections.abc import Mapping
from functools import partial

from faults.matrix import editors, moments, users
from faults.matrix.fault import NOT_RECORDED, SWEPT_S, Burst, Fault
from faults.matrix.rows import api, broker, database, scheduler, sender
from faults.matrix.scene import Scene

ROUNDS = 3


async def kill_in_turn(scene: Scene) -> None:
    """The leader, an API, a sender, RabbitMQ and PostgreSQL; each change is answered, by which API soever."""
    met: Counter[str] = Counter()
    async with editors.editing(scene):
        for number in range(ROUNDS):
            kills: Mapping[str, moments.Blow] = {
                "leader": scheduler.kill_once,
                "API": partial(api.kill_once, number % 2 + 1),
                "sender": sender.kill_once,
                "RabbitMQ": broker.kill_once,
                "PostgreSQL": database.kill_once,
            }
            for who, kill in kills.items():
                met[who] += bool(await moments.meet(kill, scene))
    for who, times in met.items():
        scene.hit(times, ROUNDS, f"kills met their moment: {who}")
    editors.show(scene)
    await users.check(scene)


ROWS = (
    Fault(
        "killed_while_tasks_change",
        f"Leader, API, sender, RabbitMQ and PostgreSQL are killed in turn, {ROUNDS} times; users change tasks",
        kill_in_turn,
        bound_s=SWEPT_S,
        settings={"EMISSION_CHUNK": "50"},  # so that a leader can be killed in the middle of a burst
        burst=Burst(500, 5),
        repeats=NOT_RECORDED,
    ),
)
