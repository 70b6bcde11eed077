"""Nodes of a RabbitMQ cluster are hit."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from faults.matrix import patience, recovery
from faults.matrix.fault import SWEPT_S, Fault
from faults.matrix.scene import Scene

NODES = 3
DOWN_S = 10
CUT_S = 30


async def kill_nodes(nodes: Sequence[int], scene: Scene) -> None:
    """The next one when all queues have all their members again. Two go on without it, and so must Tocsin."""
    cluster = scene.rabbitmq.cluster
    await asyncio.to_thread(cluster.wait_whole)
    before = scene.lines.ended("broker")
    for node in nodes:
        await asyncio.to_thread(cluster.kill, node)
        scene.fault_is_over()
        await recovery.note(scene)
        await asyncio.sleep(DOWN_S)
        await asyncio.to_thread(cluster.start_node, node)
        scene.fault_is_over()
        await asyncio.to_thread(cluster.wait_whole)
    scene.saw(scene.lines.ended("broker") - before, "connections to RabbitMQ ended")


async def part_a_node(scene: Scene) -> None:
    """It and the other two do not see each other; it is the few, and stands still until it does again."""
    cluster = scene.rabbitmq.cluster
    await asyncio.to_thread(cluster.wait_whole)
    await asyncio.to_thread(cluster.part, 1)
    scene.fault_is_over()
    await patience.eventually(partial(asyncio.to_thread, cluster.stands_still, 1))
    await recovery.in_time_again(scene, datetime.now(UTC))
    recovery.note_now(scene)
    await asyncio.sleep(CUT_S)
    scene.hit(await asyncio.to_thread(cluster.stands_still, 1), 1, "nodes took no connections when parted")
    await asyncio.to_thread(cluster.join, 1)
    scene.fault_is_over()
    await asyncio.to_thread(cluster.wait_whole)


ROWS = (
    Fault(
        "cluster_node_killed",
        f"One of {NODES} RabbitMQ nodes is killed, and brought back {DOWN_S} s later",
        partial(kill_nodes, [1]),
        bound_s=SWEPT_S,
        broker_nodes=NODES,
    ),
    Fault(
        "each_cluster_node_killed",
        f"Each of {NODES} RabbitMQ nodes in turn is killed, and brought back {DOWN_S} s later",
        partial(kill_nodes, range(1, NODES + 1)),
        bound_s=SWEPT_S,
        broker_nodes=NODES,
    ),
    Fault(
        "cluster_parted",
        f"One of {NODES} RabbitMQ nodes is cut off from the other two for {CUT_S} s",
        part_a_node,
        bound_s=SWEPT_S,
        broker_nodes=NODES,
    ),
)
