"""All parts are hit, one after the other."""

from faults.matrix.fault import SWEPT_S, Fault
from faults.matrix.parts import Part
from faults.matrix.rows import broker, database
from faults.matrix.scene import Scene


async def roll(scene: Scene) -> None:
    """Each process is stopped by the book and comes back, then RabbitMQ, then PostgreSQL."""
    for part in scene.parts.values():
        await restart(part, scene)
    await broker.restart(scene)
    await database.restart(scene)


async def restart(part: Part, scene: Scene) -> None:
    """By the book."""
    status = await part.stop()
    if status != 0:
        scene.problems.append(f"stop: {part.name} ended with status {status}")
    await part.start()
    await part.ready()


ROWS = (
    Fault(
        "rolling_restart",
        "Every process is restarted, one after the other, then RabbitMQ and PostgreSQL",
        roll,
        bound_s=SWEPT_S,
    ),
)
