"""Parts are cut off from each other."""

import asyncio
from collections.abc import Iterator
from functools import partial

from faults.matrix import lines
from faults.matrix.fault import Fault
from faults.matrix.lines import Server
from faults.matrix.parts import Role
from faults.matrix.scene import Scene

CUT_S = 30
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
WITHOUT_RECEIVERS = {"AUTO_DISABLE_AFTER": "0"}
"""Receivers that do not answer for so long are a task's own failure, and ten in a row would end it."""

MAY_FAIL = frozenset({"succeeded", "missed", "failed"})


async def reset(role: Role, server: Server, seconds: float, scene: Scene) -> None:
    """All connections between the two are reset, and new ones refused."""
    between = scene.lines.between(role, server)
    await lines.cut(between)
    await asyncio.sleep(seconds)
    await lines.restore(between)


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
        yield fault._replace(settings=WITHOUT_RECEIVERS, ends=MAY_FAIL) if server == "receiver" else fault


ROWS = tuple(fault for pair in PAIRS for fault in _rows(*pair))
