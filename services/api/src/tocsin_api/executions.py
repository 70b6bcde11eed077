"""SHELL. The route that runs a task by hand: one execution more, owed now."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, post
from litestar.params import FromPath

from tocsin_api import sql
from tocsin_api.errors import NotFoundError
from tocsin_api.idempotency import HEADER, check_same_request, read_key
from tocsin_api.inputs import read_id
from tocsin_api.resources import Injected
from tocsin_common.messages import Job, execution_id

SCOPE = "run"


class ManualExecution(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An execution that somebody asked for, as it begins."""

    execution_id: UUID
    task_id: UUID
    scheduled_for: datetime
    kind: Literal["manual"] = "manual"
    state: Literal["due"] = "due"


@post("/api/tasks/{task_id:str}/run", status_code=202)
async def run_task(
    request: Request[Any, Any, Any], task_id: FromPath[str], resources: Injected
) -> ManualExecution:
    """Let a task run once now, whatever its status; its schedule goes on as it is."""
    id_ = read_id(task_id)
    given = request.headers.getall(HEADER, [])
    key = read_key(given, SCOPE, request.method, request.scope["path"], await request.body())
    row, is_new = await sql.run_task(resources.pool, id_, resources.give_up_after, key)
    if row is None:
        raise NotFoundError("there is no task with this id")
    if is_new:
        resources.hints.announce_job(Job(id_, row["scheduled_for"], row["destination"]))
    elif key is not None:
        check_same_request(key, row["request_hash"])
    return ManualExecution(
        execution_id=execution_id(id_, row["scheduled_for"]), task_id=id_, scheduled_for=row["scheduled_for"]
    )
