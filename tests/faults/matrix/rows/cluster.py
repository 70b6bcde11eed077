"""Nodes of a RabbitMQ cluster are hit."""

import asyncio
from collections.abc import Sequence
from functools import partial

from faults.matrix.fault import Fault
from faults.matrix.scene import Scene

NODES = 3
DOWN_S = 10


async def kill_nodes(nodes: Sequence[int], scene: Scene) -> None:
    """The next one when all queues have all their members again."""
    cluster = scene.rabbitmq.cluster
    await asyncio.to_thread(cluster.wait_whole)
    for node in nodes:
        await asyncio.to_thread(cluster.kill, node)
        await asyncio.sleep(DOWN_S)
        await asyncio.to_thread(cluster.start_node, node)
        await asyncio.to_thread(cluster.wait_whole)


ROWS = (
    Fault(
        "cluster_node_killed",
        f"One of {NODES} RabbitMQ nodes is killed, and brought back {DOWN_S} s later",
        partial(kill_nodes, [1]),
        bound_s=60,
        broker_nodes=NODES,
    ),
    Fault(
        "each_cluster_node_killed",
        f"Each of {NODES} RabbitMQ nodes in turn is killed, and brought back {DOWN_S} s later",
        partial(kill_nodes, range(1, NODES + 1)),
        bound_s=60,
        broker_nodes=NODES,
    ),
)
