"""SHELL. The processes that a fault finds at work."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple

from e2e.processes import Tocsin
from faults.burst import CHUNKS, Burst
from tocsin_common.failpoints import Failpoint


class Cast(NamedTuple):
    """All of them do their work."""

    leader: Tocsin
    standby: Tocsin
    """It knows the tasks."""
    sender: Tocsin


async def start_cast(
    start: Callable[..., Awaitable[Tocsin]],
    burst: Burst,
    *,
    freezes_at: Failpoint = "scheduler.chunk_announced",
    of_leader: Mapping[str, str] = {},
    of_sender: Mapping[str, str] = {},
) -> Cast:
    """The leader will freeze in the middle of `burst`. It and the sender may have settings of their own."""
    schedule = partial(start, "tocsin-dispatcher", "schedule", EMISSION_CHUNK=str(burst.size // CHUNKS))
    sender = await start("tocsin-dispatcher", "send", **of_sender)
    leader = await schedule(freezes_at=freezes_at, nth=CHUNKS // 2, **of_leader)
    await leader.logged("scheduler.leading")
    standby = await schedule()
    loaded = await standby.logged("tasks.loaded")
    assert loaded["tasks"] == burst.size
    await sender.logged("sender.consuming")
    return Cast(leader, standby, sender)
