"""SHELL. The routes under /api/scheduler: who leads, how far it is, and a pause of everything."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from msgspec import Meta

from tocsin_api import scheduler_sql
from tocsin_api.moments import Aware
from tocsin_api.resources import Injected, Resources
from tocsin_common.messages import ScheduleChange

# Of no task. Whatever a hint says, the scheduler that leads reads what has changed, the pause among it.
PAUSE_CHANGED = ScheduleChange(task_id=UUID(int=0), revision=0)


class Scheduler(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The state of scheduling as a whole."""

    leader: Annotated[str | None, Meta(description="the process that schedules; null where none does")]
    epoch: Annotated[int, Meta(description="rises with each new leader")]
    watermark: Annotated[Aware, Meta(description="up to then every owed execution has its row")]
    lag_seconds: Annotated[float, Meta(description="how far the watermark lies behind the clock")]
    tasks: Annotated[int, Meta(description="active tasks that the leader holds")]
    schedules: Annotated[int, Meta(description="distinct schedules among them")]
    paused: Annotated[bool, Meta(description="whether all schedules are paused")]
    paused_at: Annotated[Aware | None, Meta(description="since when nothing is emitted")]


@get("/api/scheduler")
async def show_scheduler(resources: Injected) -> Scheduler:
    """Show who schedules, and how far everything owed has its row."""
    return await _shown(resources)


@post("/api/scheduler/pause", status_code=200)
async def pause_scheduler(resources: Injected) -> Scheduler:
    """Let no task run by its schedule until the resume; what was emitted goes on."""
    return await _set_paused(resources, paused=True)


@post("/api/scheduler/resume", status_code=200)
async def resume_scheduler(resources: Injected) -> Scheduler:
    """Let the tasks run again; for what the pause held up each task's catch-up policy holds."""
    return await _set_paused(resources, paused=False)


async def _set_paused(resources: Resources, *, paused: bool) -> Scheduler:
    await scheduler_sql.pause_scheduler(resources.pool, paused=paused)
    # Also where nothing changed: who asks again may do so because an earlier hint was lost.
    resources.hints.announce(PAUSE_CHANGED)
    return await _shown(resources)


async def _shown(resources: Resources) -> Scheduler:
    row = await scheduler_sql.show_scheduler(resources.pool)
    return Scheduler(**row, paused=row["paused_at"] is not None)
