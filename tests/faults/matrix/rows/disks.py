"""Disks are full. The servers' data is on file systems of their own then, which only root may mount."""

import asyncio

from faults.matrix.evidence import ROOT_VHOST
from faults.matrix.fault import NOT_RECORDED, SWEPT_S, Fault
from faults.matrix.rows import operators
from faults.matrix.scene import Scene
from faults.own_servers import OwnServer

FULL_S = 30
BROKER_MIB, DATABASE_MIB = 512, 1024


async def fill_brokers(scene: Scene) -> None:
    """To the last byte; some time later there is room again, and its operator starts it anew.

    A queue whose log it has damaged meanwhile, which RabbitMQ 3.10 says and goes on, is deleted then.
    """
    await operators.burst_begins(scene)  # it is to write a lot
    scene.rabbitmq.disk.fill()
    await asyncio.sleep(FULL_S)
    scene.saw(*_failed_writes(scene.rabbitmq))
    scene.rabbitmq.disk.clear()
    if scene.rabbitmq.is_running():
        await scene.rabbitmq.stop()
    await scene.bring_back(scene.rabbitmq)
    scene.fault_is_over()
    operator = scene.rabbitmq.operator
    broken = await operator.broken_queues(ROOT_VHOST)
    for queue in broken:
        await operator.delete(ROOT_VHOST, queue)
    scene.remarks.append(f"{len(broken)} queues that RabbitMQ could not open any more were deleted")


async def fill_databases(scene: Scene) -> None:
    """To the last byte; some time later there is room again, and its operator starts it where it gave up."""
    with scene.blinding():
        scene.postgres.disk.fill()
        await asyncio.sleep(FULL_S)
        scene.saw(*_failed_writes(scene.postgres))
        scene.postgres.disk.clear()
        if not scene.postgres.is_running():
            await scene.bring_back(scene.postgres)
    scene.fault_is_over()


def _failed_writes(server: OwnServer) -> tuple[int, str]:
    """As its log tells of them: the system's error, or Erlang's name for it."""
    log = server.log.lower()
    return log.count("no space left on device") + log.count("enospc"), "writes failed, says the server's log"


ROWS = (
    Fault(
        "broker_disk_full",
        f"RabbitMQ's disk is full for {FULL_S} s; then it is restarted, and queues it cannot open are deleted",
        fill_brokers,
        bound_s=SWEPT_S,
        burst=operators.BURSTS,
        disks={"rabbitmq": BROKER_MIB},
    ),
    Fault(
        "database_disk_full",
        f"PostgreSQL's disk is full for {FULL_S} s; where it gave up it is started again",
        fill_databases,
        bound_s=SWEPT_S,
        disks={"postgres": DATABASE_MIB},
        repeats=NOT_RECORDED,
    ),
)
