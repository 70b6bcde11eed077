"""Messages are lost, doubled, or none that Tocsin writes."""

import asyncio
import re
from datetime import UTC, datetime
from functools import partial

import aio_pika

from faults.matrix import lines, poison, users
from faults.matrix.fault import Burst, Fault
from faults.matrix.poison import Poison
from faults.matrix.scene import Scene
from tocsin_common import topology
from waiting import eventually

TASKS = 40
PAUSE_S = 0.5
TWICE_S = 30
MOST_LATE_S = 5.0
POISONINGS = 30
FORGED = 0.1
"""Of all messages, each of which comes twice."""


async def lose_every_hint(scene: Scene) -> None:
    """The APIs cannot reach RabbitMQ while tasks are created: the schedulers learn of them from the feed alone."""
    cut = scene.lines.between("api", "broker")
    await lines.cut(cut)
    before = _lost(scene)
    for number in range(TASKS):
        await users.create_task(scene, api=number % 2 + 1)
        await asyncio.sleep(PAUSE_S)
    await eventually(lambda: _are_lost(scene, before + TASKS))
    await lines.restore(cut)
    await users.check(scene)


async def double_every_message(scene: Scene) -> None:
    """Each that goes to the work queue comes there again: half of them at once, the others when all is done."""

    def wait_s() -> float:
        return scene.chance.choice((0.0, scene.chance.uniform(0, MOST_LATE_S)))

    before = _dropped(scene)
    doubling = scene.rabbitmq.operator.every_message_twice(topology.JOBS_EXCHANGE, topology.WORK_QUEUE, wait_s)
    async with doubling as copies:
        await asyncio.sleep(TWICE_S)
    await scene.eventually(partial(_is_empty, scene, topology.WORK_QUEUE))
    scene.remarks.append(f"{len(copies)} messages came twice")
    dropped, posted = _dropped(scene) - before, len(scene.receiver.posts)
    scene.hit(dropped, posted, "executions were announced twice, and posted once")


async def poison_the_queues(scene: Scene) -> None:
    """An operator puts what is no message of Tocsin's into the work queue, and the same into the hints' exchange.

    Some are copies of real ones with another destination. All that should be is seen by operators afterwards.
    """

    def forge(body: bytes) -> bytes:
        return _with_strange_destinations(body) if scene.chance.random() < FORGED else body

    dead, put = topology.DEAD_QUEUE, list[Poison]()
    forging = scene.rabbitmq.operator.every_message_twice(
        topology.JOBS_EXCHANGE, topology.WORK_QUEUE, lambda: 0.0, forge
    )
    async with forging, scene.rabbitmq.operator.channel() as channel:
        hints = await channel.get_exchange(topology.CHANGES_EXCHANGE)
        for number in range(POISONINGS):
            kinds = list(poison.messages(scene.load.of_each_second()[0].task_id, datetime.now(UTC), scene.chance))
            kinds += [poison.huge()] if number % 10 == 0 else []
            for each in scene.chance.sample(kinds, len(kinds)):
                await channel.default_exchange.publish(_message(each), routing_key=topology.WORK_QUEUE)
                await hints.publish(_message(each), routing_key=each.name)
            put += kinds
            await asyncio.sleep(PAUSE_S)
    malformed, parked = (sum(each.end == end for each in put) for end in ("dead", "parked"))
    await scene.eventually(partial(_has, scene, dead, malformed))
    scene.hit(await scene.rabbitmq.operator.length(dead), malformed, "malformed messages are shown to operators")
    scene.hit(_logged(scene, "message.parked"), parked, "messages of other releases were parked, each time")
    scene.problems += [f"{part.name} ended {part.ends} times" for part in scene.parts.values() if part.ends]


def _message(each: Poison) -> aio_pika.Message:
    return aio_pika.Message(
        each.body,
        headers=dict(each.headers),
        content_type=each.content_type,
        content_encoding=each.content_encoding,
    )


def _with_strange_destinations(body: bytes) -> bytes:
    return re.sub(rb'"destination":"[^"]*"', f'"destination":"https://{poison.LONG}/1"'.encode(), body)


async def _is_empty(scene: Scene, queue: str) -> bool:
    return await scene.rabbitmq.operator.length(queue) == 0


async def _has(scene: Scene, queue: str, messages: int) -> bool:
    return await scene.rabbitmq.operator.length(queue) >= messages


def _dropped(scene: Scene) -> int:
    """Jobs that claims refused so far, since they were done with or another sender's."""
    return sum(
        line["jobs"] for part in scene.of_role("sender") for line in part.process.all_logged("jobs.dropped")
    )


def _logged(scene: Scene, event: str) -> int:
    return sum(len(part.process.all_logged(event)) for part in scene.of_role("sender"))


async def _are_lost(scene: Scene, hints: int) -> bool:
    return _lost(scene) == hints


def _lost(scene: Scene) -> int:
    return sum(len(part.process.all_logged("hint.lost")) for part in scene.of_role("api"))


ROWS = (
    Fault(
        "every_hint_lost", f"{TASKS} tasks are created, and each hint of it is lost", lose_every_hint, bound_s=30
    ),
    Fault(
        "every_message_twice",
        f"Each message comes to the senders twice, for {TWICE_S} s",
        double_every_message,
        bound_s=30,
        burst=Burst(500, 10),
        ends=frozenset({"succeeded"}),
    ),
    Fault(
        "messages_poisonous",
        "An operator puts malformed and poisonous messages into the work queue and among the hints",
        poison_the_queues,
        bound_s=30,
        burst=Burst(500, 10),
        ends=frozenset({"succeeded"}),
    ),
)
