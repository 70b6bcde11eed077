"""SHELL. The routes that show executions, and that run a task by hand: one execution more, owed now."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath
from msgspec import Meta

from tocsin_api import execution_sql, log_sql
from tocsin_api.errors import NotFoundError
from tocsin_api.execution_fields import CHECKS, ExecutionKeyQuery, ExecutionQuery, State
from tocsin_api.execution_rows import Execution, Kind, shown, values
from tocsin_api.idempotency import HEADER, check_same_request, read_key
from tocsin_api.inputs import read_id, read_query
from tocsin_api.logs import Log
from tocsin_api.logs import shown as shown_log
from tocsin_api.moments import Aware, depth_rule, period
from tocsin_api.pages import PAGE_META, PageMeta, describe
from tocsin_api.queries import READS_QUERY
from tocsin_api.resources import Injected, Resources
from tocsin_common import messages
from tocsin_common.messages import Job

SCOPE = "run"
LOGS = 100  # of an execution: more attempts than that are all waits for a limit


class ExecutionList(msgspec.Struct, frozen=True):
    """One page of executions."""

    data: Annotated[list[Execution], Meta(description="those of the page")]
    meta: Annotated[PageMeta, PAGE_META]


class ExecutionDetails(Execution, frozen=True, kw_only=True, rename="camel"):
    """An execution with its attempts."""

    logs: Annotated[list[Log], Meta(description=f"the latest {LOGS} attempts, newest first")]


class ManualExecution(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An execution that somebody asked for, as it begins."""

    execution_id: Annotated[UUID, Meta(description="made of taskId and scheduledFor")]
    task_id: Annotated[UUID, Meta(description="whose run it is")]
    scheduled_for: Annotated[Aware, Meta(description="when it was asked for")]
    kind: Kind = "manual"
    state: State = "due"


@get("/api/executions", opt=READS_QUERY)
async def list_executions(request: Request[Any, Any, Any], resources: Injected) -> ExecutionList:
    """List what tasks owe and have owed; that of deleted tasks is not shown."""
    query = read_query(request.scope["query_string"], ExecutionQuery, CHECKS, depth_rule)
    between = period(query.date_from, query.date_to)
    which = execution_sql.ExecutionFilter(query.task_id, query.state, query.reason, *between)
    rows, total = await execution_sql.list_executions(resources.pool, which, page=query.page, limit=query.limit)
    return ExecutionList([shown(row) for row in rows], describe(query.page, query.limit, total))


@get("/api/executions/{execution_id:str}", opt=READS_QUERY)
async def get_execution(
    request: Request[Any, Any, Any], execution_id: FromPath[str], resources: Injected
) -> ExecutionDetails:
    """Show one execution with its attempts."""
    id_ = read_id(execution_id)
    key = read_query(request.scope["query_string"], ExecutionKeyQuery, CHECKS)
    if id_ == messages.execution_id(key.task_id, key.scheduled_for):
        details = await find_details(resources, key.task_id, key.scheduled_for)
        if details is not None:
            return details
    raise NotFoundError("there is no execution with this id, taskId and scheduledFor")


async def find_details(resources: Resources, task_id: UUID, scheduled_for: datetime) -> ExecutionDetails | None:
    """An execution with its attempts; None where there is none, or its task is deleted."""
    found = await execution_sql.find_execution(resources.pool, task_id, scheduled_for)
    if found is None:
        return None
    logs = await log_sql.logs_of_execution(resources.pool, task_id, scheduled_for, LOGS)
    return ExecutionDetails(**values(found), logs=[shown_log(row) for row in logs])


@post("/api/tasks/{task_id:str}/run", status_code=202)
async def run_task(
    request: Request[Any, Any, Any], task_id: FromPath[str], resources: Injected
) -> Response[ManualExecution]:
    """Let a task run once now, whatever its status; its schedule goes on as it is."""
    id_ = read_id(task_id)
    scheduled_for = await start_run(request, id_, resources, SCOPE)
    execution = ManualExecution(
        execution_id=messages.execution_id(id_, scheduled_for), task_id=id_, scheduled_for=scheduled_for
    )
    return Response(execution, headers={"Location": location(id_, scheduled_for)})


async def start_run(request: Request[Any, Any, Any], id_: UUID, resources: Resources, scope: str) -> datetime:
    """Add an execution that is owed now, and say for when; of a request that is repeated, the one of then."""
    given = request.headers.getall(HEADER, [])
    key = read_key(given, scope, request.method, request.scope["path"], await request.body())
    row, is_new = await execution_sql.run_task(resources.pool, id_, resources.give_up_after, key)
    if row is None:
        raise NotFoundError("there is no task with this id")
    if is_new:
        resources.hints.announce_jobs([(Job(id_, row["scheduled_for"], row["destination"]), 0.0)])
    elif key is not None:
        check_same_request(key, row["request_hash"])
    scheduled_for: datetime = row["scheduled_for"]
    return scheduled_for


def location(task_id: UUID, scheduled_for: datetime) -> str:
    """Where an execution is shown."""
    id_ = messages.execution_id(task_id, scheduled_for)
    return f"/api/executions/{id_}?taskId={task_id}&scheduledFor={messages.iso_utc(scheduled_for)}"
