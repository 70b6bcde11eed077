"""Parts are cut off from each other."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

from faults.matrix import lines, patience
from faults.matrix.fault import BY_RECEIVER, NOT_RECORDED, Fault, Repeat
from faults.matrix.lines import Server
from faults.matrix.parts import Role
from faults.matrix.scene import Scene

CUT_S = 30
RESETS = 10
MOST_MUTE_S = 0.5
HAVE_ENDED = """
SELECT NOT EXISTS (SELECT FROM executions WHERE scheduled_for <= $1 AND state IN ('due', 'waiting', 'running'))
"""
PAIRS: tuple[tuple[Role, Server], ...] = (
    ("api", "database"),
    ("scheduler", "database"),
    ("sender", "database"),
    ("api", "broker"),
    ("scheduler", "broker"),
    ("sender", "broker"),
    ("sender", "receiver"),
)
NAMES: dict[str, str] = {
    "api": "the APIs",
    "scheduler": "the schedulers",
    "sender": "the senders",
    "database": "PostgreSQL",
    "broker": "RabbitMQ",
    "receiver": "the receivers",
}
REPEATS: dict[tuple[Role, Server], frozenset[Repeat]] = {
    ("sender", "database"): NOT_RECORDED,
    ("sender", "receiver"): BY_RECEIVER,
}
WITHOUT_RECEIVERS = {"AUTO_DISABLE_AFTER": "0"}
"""Receivers that do not answer for so long are a task's own failure, and ten in a row would end it."""

MAY_FAIL = frozenset({"succeeded", "missed", "failed"})


async def reset(role: Role, server: Server, seconds: float, scene: Scene) -> None:
    """All connections between the two are reset, and new ones refused."""
    between = scene.lines.between(role, server)
    await lines.cut(between)
    await asyncio.sleep(seconds)
    await lines.restore(between)


async def reset_before_the_answer(scene: Scene) -> None:
    """Each time all that was hit ends first: so nothing is hit twice, and none uses up its retries."""
    in_vain = 0
    for _ in range(RESETS):
        in_vain += await reset_once_before_the_answer(scene)
        await patience.eventually(partial(scene.ask, HAVE_ENDED, datetime.now(UTC)))
    scene.hit(in_vain, len(scene.receiver.posts), "POSTs were answered and their answers were lost")


async def reset_once_before_the_answer(scene: Scene) -> int:
    """Requests go through and answers do not, until all is reset: how many had been answered by then."""
    [relay] = scene.lines.between("sender", "receiver")
    start = len(scene.receiver.posts)

    def answered() -> int:
        return sum(post.succeeded for post in scene.receiver.posts[start:])

    relay.mute()
    await scene.receiver.wait_until(lambda: answered() > 0)
    await asyncio.sleep(scene.chance.uniform(0, MOST_MUTE_S))
    await relay.cut()
    relay.unmute()
    in_vain = answered()
    await relay.restore()
    return in_vain


async def silence(role: Role, server: Server, seconds: float, scene: Scene) -> None:
    """All connections between the two stand, and nothing comes through."""
    between = scene.lines.between(role, server)
    for relay in between:
        relay.freeze()
    await asyncio.sleep(seconds)
    for relay in between:
        relay.thaw()


def _rows(role: Role, server: Server) -> Iterator[Fault]:
    between = f"between {NAMES[role]} and {NAMES[server]}"
    for name, what, inflict in (
        (f"{role}_cut_from_{server}", f"All connections {between} are reset, and refused for {CUT_S} s", reset),
        (f"{role}_and_{server}_silent", f"Nothing comes through {between} for {CUT_S} s", silence),
    ):
        fault = Fault(name, what, partial(inflict, role, server, CUT_S), bound_s=60)
        fault = fault._replace(repeats=REPEATS.get((role, server), frozenset()))
        yield fault._replace(settings=WITHOUT_RECEIVERS, ends=MAY_FAIL) if server == "receiver" else fault


ROWS = (
    *(fault for pair in PAIRS for fault in _rows(*pair)),
    Fault(
        "posts_cut_before_the_answer",
        f"Connections to receivers are reset when these have answered and nothing has come back, {RESETS} times",
        reset_before_the_answer,
        bound_s=30,
        ends=frozenset({"succeeded"}),
        repeats=BY_RECEIVER,
    ),
)
