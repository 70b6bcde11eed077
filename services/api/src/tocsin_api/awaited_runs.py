"""SHELL. The route that runs a task by hand and waits for what becomes of it.

It asks for the one row again and again. To be told of it would be half a second sooner at most, and cost all
others: a NOTIFY takes a lock of the whole server at each commit of outcomes, a message for each outcome is one
more publish. No connection is held between two looks, and only so many requests wait at a time.
"""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Request, Response, post
from litestar.params import FromPath

from tocsin_api import execution_sql
from tocsin_api.errors import NotFoundError, TooBusyError
from tocsin_api.execution_rows import OPEN
from tocsin_api.executions import ExecutionDetails, find_details, location, start_run
from tocsin_api.inputs import read_id
from tocsin_api.resources import Injected, Resources

SCOPE = "test"
FIRST_LOOK_S = 0.05
LOOK_S = 0.5  # at most, from one look to the next


@post("/api/tasks/{task_id:str}/test", status_code=200)
async def test_task(
    request: Request[Any, Any, Any], task_id: FromPath[str], resources: Injected
) -> Response[ExecutionDetails]:
    """Let a task run once now and answer with how that ended; with how it stands where it takes too long."""
    id_ = read_id(task_id)
    if resources.waits.locked():
        raise TooBusyError("as many requests wait for an execution as may")
    async with resources.waits:
        scheduled_for = await start_run(request, id_, resources, SCOPE)
        has_ended = await _wait(resources, id_, scheduled_for)
    details = await find_details(resources, id_, scheduled_for)
    if details is None:
        raise NotFoundError("the task was deleted meanwhile")
    return Response(
        details, status_code=200 if has_ended else 202, headers={"Location": location(id_, scheduled_for)}
    )


async def _wait(resources: Resources, task_id: UUID, scheduled_for: datetime) -> bool:
    """Whether the execution has ended, or is gone, in time; what is to stop waits no longer."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + resources.test_wait_s
    pause_s = FIRST_LOOK_S
    while await execution_sql.find_state(resources.pool, task_id, scheduled_for) in OPEN:
        if clock() >= deadline or resources.stopping.is_set():
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(min(pause_s, deadline - clock())):
                await resources.stopping.wait()
        pause_s = min(LOOK_S, pause_s * 1.5)
    return True
