"""SHELL. The routes that show executions, and that run a task by hand: one execution more, owed now."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath

from tocsin_api import execution_sql
from tocsin_api.errors import NotFoundError
from tocsin_api.execution_fields import CHECKS, ExecutionQuery
from tocsin_api.execution_rows import Execution, shown
from tocsin_api.idempotency import HEADER, check_same_request, read_key
from tocsin_api.inputs import read_id, read_query
from tocsin_api.moments import depth_rule, period
from tocsin_api.pages import PageMeta, describe
from tocsin_api.resources import Injected
from tocsin_common.messages import Job, execution_id

SCOPE = "run"


class ExecutionList(msgspec.Struct, frozen=True):
    """One page of executions."""

    data: list[Execution]
    meta: PageMeta


class ManualExecution(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An execution that somebody asked for, as it begins."""

    execution_id: UUID
    task_id: UUID
    scheduled_for: datetime
    kind: Literal["manual"] = "manual"
    state: Literal["due"] = "due"


@get("/api/executions")
async def list_executions(request: Request[Any, Any, Any], resources: Injected) -> ExecutionList:
    """List what tasks owe and have owed; that of deleted tasks is not shown."""
    query = read_query(request.scope["query_string"], ExecutionQuery, CHECKS, depth_rule)
    between = period(query.date_from, query.date_to)
    which = execution_sql.ExecutionFilter(query.task_id, query.state, query.reason, *between)
    rows, total = await execution_sql.list_executions(resources.pool, which, page=query.page, limit=query.limit)
    return ExecutionList([shown(row) for row in rows], describe(query.page, query.limit, total))


@post("/api/tasks/{task_id:str}/run", status_code=202)
async def run_task(
    request: Request[Any, Any, Any], task_id: FromPath[str], resources: Injected
) -> ManualExecution:
    """Let a task run once now, whatever its status; its schedule goes on as it is."""
    id_ = read_id(task_id)
    given = request.headers.getall(HEADER, [])
    key = read_key(given, SCOPE, request.method, request.scope["path"], await request.body())
    row, is_new = await execution_sql.run_task(resources.pool, id_, resources.give_up_after, key)
    if row is None:
        raise NotFoundError("there is no task with this id")
    if is_new:
        resources.hints.announce_jobs([(Job(id_, row["scheduled_for"], row["destination"]), 0.0)])
    elif key is not None:
        check_same_request(key, row["request_hash"])
    return ManualExecution(
        execution_id=execution_id(id_, row["scheduled_for"]), task_id=id_, scheduled_for=row["scheduled_for"]
    )
