"""Disks are full. The servers' data is on file systems of their own then, which only root may mount."""

import asyncio

from faults.matrix.evidence import ROOT_VHOST
from faults.matrix.fault import NOT_RECORDED, Fault
from faults.matrix.scene import Scene

FULL_S = 30
BROKER_MIB, DATABASE_MIB = 512, 1024


async def fill_brokers(scene: Scene) -> None:
    """To the last byte; some time later there is room again, and its operator starts it anew.

    A queue whose log it has damaged meanwhile, which RabbitMQ 3.10 says and goes on, is deleted then.
    """
    scene.rabbitmq.disk.fill()
    await asyncio.sleep(FULL_S)
    scene.rabbitmq.disk.clear()
    if scene.rabbitmq.is_running():
        await scene.rabbitmq.stop()
    await scene.bring_back(scene.rabbitmq)
    operator = scene.rabbitmq.operator
    for queue in await operator.broken_queues(ROOT_VHOST):
        await operator.delete(ROOT_VHOST, queue)
        scene.remarks.append(f"RabbitMQ could not open {queue} any more; it was deleted")


async def fill_databases(scene: Scene) -> None:
    """To the last byte; some time later there is room again, and its operator starts it where it gave up."""
    scene.postgres.disk.fill()
    await asyncio.sleep(FULL_S)
    scene.postgres.disk.clear()
    if not scene.postgres.is_running():
        await scene.bring_back(scene.postgres)


ROWS = (
    Fault(
        "broker_disk_full",
        f"RabbitMQ's disk is full for {FULL_S} s; then it is restarted, and queues it cannot open are deleted",
        fill_brokers,
        bound_s=60,
        disks={"rabbitmq": BROKER_MIB},
    ),
    Fault(
        "database_disk_full",
        f"PostgreSQL's disk is full for {FULL_S} s; where it gave up it is started again",
        fill_databases,
        bound_s=60,
        disks={"postgres": DATABASE_MIB},
        repeats=NOT_RECORDED,
    ),
)
