"""SHELL. Whether all of Tocsin works again: what is owed is in time, and each of its processes does its part."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx

from faults import operators
from faults.matrix import patience, users
from faults.matrix.parts import Part
from faults.matrix.scene import Scene
from tocsin_common.broker import call
from tocsin_common.topology import WORK_QUEUE

POLL_S = 0.1
LOOK_S = 5.0
"""A look that takes longer has not found that all is well."""

IN_TIME = """
SELECT watermark > $1 AND watermark > clock_timestamp() - interval '2 s' AND gap_until IS NULL
   AND expires_at > clock_timestamp()
FROM scheduler_lease
"""
"""Something is owed at each second: whoever leads has emitted nearly all of it, and some since that instant."""
HAVE_ENDED = """
SELECT NOT EXISTS (SELECT FROM executions WHERE scheduled_for <= $1 AND state IN ('due', 'waiting', 'running'))
"""
NOT_OVERDUE = """
SELECT NOT EXISTS (
    SELECT FROM executions
    WHERE state IN ('due', 'waiting', 'running') AND next_at < clock_timestamp() - interval '5 s'
)
"""
"""A claim that runs out is overdue too."""
ACTIVE = "SELECT count(*) FROM tasks WHERE status = 'ACTIVE'"


async def in_time_again(scene: Scene, since: datetime) -> float:
    """Seconds since then until somebody leads and emits what is owed in time, what was owed meanwhile included."""
    await patience.eventually(partial(scene.ask, IN_TIME, since))
    return (datetime.now(UTC) - since).total_seconds()


async def note(scene: Scene) -> None:
    """Of a fault that is done again and again: how long it took, this time, until all was in time again."""
    await patience.eventually(partial(scene.ask, IN_TIME, scene.over_at))
    note_now(scene)


def note_now(scene: Scene) -> None:
    """The same where it is so by now."""
    if scene.over_at is None:
        raise RuntimeError("the fault has not said when it was over")
    scene.recoveries_s.append((datetime.now(UTC) - scene.over_at).total_seconds())


@asynccontextmanager
async def failing_over(scene: Scene, leader: Part) -> AsyncIterator[None]:
    """Another one must lead meanwhile, and emit in time."""
    failover = asyncio.create_task(_led_by_another(scene, leader, datetime.now(UTC)))
    try:
        yield
        scene.hit(failover.done(), 1, "failovers came while the leader was hit, and all was in time again")
        if failover.done():
            scene.recoveries_s.append(failover.result())
    finally:
        failover.cancel()


async def _led_by_another(scene: Scene, before: Part, since: datetime) -> float:
    """The one that led `before` may still think that it does."""

    async def find() -> Part | None:
        leader = await scene.leader()
        return leader if leader is not before else None

    await patience.eventually(find)
    return await in_time_again(scene, since)


async def lacking(scene: Scene, over_at: datetime, within_s: float) -> list[str]:
    """Returns as soon as all is well again since `over_at`, or the time is up: what is not as it must be then.

    What must be so, must be so in one look; what must be done, must have been done once.
    """
    proofs = {name: asyncio.create_task(work) for name, work in _work(scene).items()}
    last, not_well = list[str](), ["all could be looked at"]
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not_well := await _not_so(scene, over_at) + _unfinished(proofs):
                    last = not_well
                    await asyncio.sleep(POLL_S)
    finally:
        for proof in proofs.values():
            proof.cancel()
        ended = await asyncio.gather(*proofs.values(), return_exceptions=True)
    took_s = (datetime.now(UTC) - over_at).total_seconds()
    scene.remarks.append(f"what came last, after {took_s:.1f} s: {'; '.join(last) or 'nothing was amiss'}")
    failed = [f"{name}: {end!r}" for name, end in zip(proofs, ended, strict=True) if end is not None]
    return [*not_well, *failed]


def _unfinished(proofs: Mapping[str, asyncio.Task[None]]) -> list[str]:
    return [name for name, proof in proofs.items() if not proof.done()]


async def _not_so(scene: Scene, over_at: datetime) -> list[str]:
    """What is not so, in one look after another."""
    states: dict[str, Callable[[], Awaitable[bool]]] = {
        "what is owed is emitted in time": partial(scene.ask, IN_TIME, over_at),
        "what was owed has ended": partial(scene.ask, HAVE_ENDED, over_at),
        "nothing is overdue": partial(scene.ask, NOT_OVERDUE),
        "each sender consumes": partial(_consume, scene),
        "both schedulers know all tasks, and one leads": partial(_know_all_tasks, scene),
        **{f"API {number} is ready": partial(_is_ready, api) for number, api in enumerate(scene.apis(), 1)},
    }
    return [name for name, is_so in states.items() if not await _is_so(is_so)]


async def _is_so(look: Callable[[], Awaitable[bool]]) -> bool:
    """Whatever fails, or takes long, is not so yet."""
    try:
        async with asyncio.timeout(LOOK_S):
            return await look()
    except Exception:
        return False


def _work(scene: Scene) -> dict[str, Coroutine[Any, Any, None]]:
    return {
        "each API creates a task": _create_tasks(scene),
        **{f"{part.name} records attempts": _posts(part) for part in scene.of_role("sender")},
    }


async def _create_tasks(scene: Scene) -> None:
    for number, api in enumerate(scene.apis(), 1):
        await _becomes(partial(_is_ready, api))
        await users.create_task(scene, api=number, falls_over=False)


async def _is_ready(api: httpx.AsyncClient) -> bool:
    try:
        return (await api.get("/health/ready")).is_success
    except httpx.TransportError:
        return False


async def _know_all_tasks(scene: Scene) -> bool:
    """One leads and the other one stands by, and each has taken in all revisions."""
    schedulers, active = scene.of_role("scheduler"), await scene.ask(ACTIVE)
    leading = [await part.shows("tocsin_leader") for part in schedulers]
    tasks = [await part.shows("tocsin_tasks") for part in schedulers]
    return leading.count(1) == 1 and tasks == [active] * len(schedulers)


async def _consume(scene: Scene) -> bool:
    async with call(), scene.rabbitmq.operator.channel() as channel:
        return await operators.consumers(channel, WORK_QUEUE) == len(scene.of_role("sender"))


async def _posts(sender: Part) -> None:
    before = await sender.shows("tocsin_attempts_total")

    async def has_posted() -> bool:
        return await sender.shows("tocsin_attempts_total") not in (None, 0, before)

    await _becomes(has_posted)


async def _becomes(is_so: Callable[[], Awaitable[bool]]) -> None:
    while not await is_so():  # noqa: ASYNC110 - nobody tells by itself
        await asyncio.sleep(POLL_S)
