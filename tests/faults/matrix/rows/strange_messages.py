"""Messages come twice, or are none that Tocsin writes: an operator may put anything anywhere."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial

import aio_pika
from aio_pika.abc import AbstractExchange

from faults.matrix import patience, poison
from faults.matrix.fault import SOON_S, SWEPT_S, Burst, Fault
from faults.matrix.poison import Poison
from faults.matrix.scene import Scene
from tocsin_common.topology import CHANGES_EXCHANGE, DEAD_QUEUE, JOBS_EXCHANGE, WORK_QUEUE

BURSTS = Burst(500, 10)
TWICE_S = 30
MOST_LATE_S = 5.0
POISONINGS = 30
PAUSE_S = 0.5
LOOK_S = 1.0
"""Before a look at a queue: what the last one held must be ready again."""
HUGE_EACH = 10
"""Of the poisonings."""
FORGED = 0.1
"""Of all messages, each of which comes twice."""


async def double_every_message(seconds: float, scene: Scene) -> None:
    """Each that goes to the work queue comes there again: half of them at once, the others some seconds later."""

    def wait_s() -> float:
        return scene.chance.choice((0.0, scene.chance.uniform(0, MOST_LATE_S)))

    before = _jobs_dropped(scene)
    async with scene.rabbitmq.operator.every_message_twice(JOBS_EXCHANGE, WORK_QUEUE, wait_s) as copies:
        await asyncio.sleep(seconds)
    scene.fault_is_over()
    scene.remarks.append(f"{len(copies)} messages came twice")
    await patience.eventually(partial(_all_are_dropped, scene, before + len(copies)))
    scene.saw(_jobs_dropped(scene) - before, "jobs were announced again, and not posted again")


async def poison_queues(scene: Scene) -> None:
    """What is no message of Tocsin's comes to the work queue, and the same as hints; and some real ones forged.

    It is over when operators are shown all that is malformed.
    """

    def forge(body: bytes) -> bytes:
        return with_strange_destinations(body) if scene.chance.random() < FORGED else body

    operator, put = scene.rabbitmq.operator, list[Poison]()
    forging = operator.every_message_twice(JOBS_EXCHANGE, WORK_QUEUE, lambda: 0.0, forge)
    async with operator.channel() as channel:
        hints = await channel.get_exchange(CHANGES_EXCHANGE)
        async with forging:
            for number in range(POISONINGS):
                messages = _poison(scene, is_huge=number % HUGE_EACH == 0)
                await _put(messages, channel.default_exchange, hints)
                put += messages
                await asyncio.sleep(PAUSE_S)
    scene.fault_is_over()
    malformed = Counter(_meaning(each.body) for each in put if each.end == "dead")
    await patience.eventually(partial(_are_shown, scene, malformed))
    scene.saw(malformed.total(), "malformed messages were put, and all of them are shown to operators")
    parkings, parked = len(scene.logged("sender", "message.parked")), sum(each.end == "parked" for each in put)
    scene.saw(parkings, f"times one of {parked} messages of another release was parked")
    scene.saw(
        len(put) - malformed.total() - parked, "messages were put that announce nothing there is, or are no hint"
    )


def with_strange_destinations(body: bytes) -> bytes:
    """A job message with other destinations, which no database takes into an index."""
    return re.sub(rb'"destination":"[^"]*"', b'"destination":"https://%b/1"' % poison.LONG.encode(), body)


def _poison(scene: Scene, *, is_huge: bool) -> list[Poison]:
    task_id = scene.load.of_each_second()[0].task_id
    messages = [*poison.messages(task_id, datetime.now(UTC), scene.chance), *([poison.huge()] if is_huge else [])]
    return scene.chance.sample(messages, len(messages))


async def _put(messages: Iterable[Poison], to_queues: AbstractExchange, hints: AbstractExchange) -> None:
    for each in messages:
        message = aio_pika.Message(
            each.body,
            headers=dict(each.headers),
            content_type=each.content_type,
            content_encoding=each.content_encoding,
        )
        await to_queues.publish(message, routing_key=WORK_QUEUE)
        await hints.publish(message, routing_key=each.name)


async def _all_are_dropped(scene: Scene, jobs: int) -> bool:
    return _jobs_dropped(scene) >= jobs


async def _are_shown(scene: Scene, malformed: Counter[bytes]) -> bool:
    """Whether all are; what was forged of Tocsin's own may be there too."""
    await asyncio.sleep(LOOK_S)
    return malformed <= Counter(map(_meaning, await scene.rabbitmq.operator.bodies(DEAD_QUEUE)))


def _meaning(body: bytes) -> bytes:
    """A job that only PostgreSQL refuses was read and written anew: what is JSON is compared by what it says."""
    try:
        return json.dumps(json.loads(body), sort_keys=True).encode()
    except (ValueError, RecursionError):
        return body


def _jobs_dropped(scene: Scene) -> int:
    """That claims refused so far, since they were done with or another sender's."""
    return sum(line["jobs"] for line in scene.logged("sender", "jobs.dropped"))


ROWS = (
    Fault(
        "every_message_twice",
        f"Each message comes to the senders twice, for {TWICE_S} s",
        partial(double_every_message, TWICE_S),
        bound_s=SOON_S,
        burst=BURSTS,
    ),
    Fault(
        "messages_poisonous",
        "An operator puts malformed, forged and huge messages into the work queue and among the hints",
        poison_queues,
        bound_s=SWEPT_S,
        burst=BURSTS,
    ),
)
