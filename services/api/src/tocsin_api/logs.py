"""SHELL. The routes that show the task log: one row an attempt, the newest first."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, get
from litestar.params import FromPath
from msgspec import Meta

from tocsin_api import log_sql, task_sql
from tocsin_api.errors import NotFoundError
from tocsin_api.inputs import read_id, read_query
from tocsin_api.moments import PERIOD_CHECKS, Aware, PeriodQuery, depth_rule, period
from tocsin_api.pages import PAGE_META, PageMeta, describe
from tocsin_api.postgresql import Row
from tocsin_api.queries import READS_QUERY
from tocsin_api.resources import Injected, Resources
from tocsin_api.task_fields import TaskId
from tocsin_common.messages import log_id

LogStatus = Annotated[
    Literal["SUCCESS", "FAILED", "RETRYING"],
    Meta(
        title="LogStatus",
        description="SUCCESS, FAILED or RETRYING",
        examples=["FAILED"],
        extra_json_schema={"type": "string"},
    ),
]
LogSort = Annotated[
    Literal["createdAt", "-createdAt"],
    Meta(
        title="LogSort",
        description="createdAt, or -createdAt for the newest first",
        examples=["-createdAt"],
        extra_json_schema={"type": "string"},
    ),
]


class Log(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One attempt to post a task's message."""

    id: Annotated[UUID, Meta(description="made of its execution's id and the attempt's number")]
    task_id: Annotated[UUID, Meta(description="whose attempt it was")]
    execution_time: Annotated[Aware, Meta(description="when it began")]
    status: LogStatus
    retry_count: Annotated[int, Meta(description="retries that were spent before it")]
    message: Annotated[str, Meta(description="what the webhook answered, or why there was no answer")]
    created_at: Annotated[Aware, Meta(description="when it was recorded")]


class LogList(msgspec.Struct, frozen=True):
    """One page of logs."""

    data: Annotated[list[Log], Meta(description="those of the page")]
    meta: Annotated[PageMeta, PAGE_META]


class TaskLogQuery(PeriodQuery, frozen=True, rename="camel"):
    """What the logs of one task may be asked for. The two dates hold for `createdAt`."""

    status: LogStatus | None = None
    sort: LogSort = "-createdAt"


class LogQuery(TaskLogQuery, frozen=True, rename="camel"):
    """What the logs of all tasks may be asked for."""

    task_id: TaskId | None = None


@get("/api/logs", opt=READS_QUERY)
async def list_logs(request: Request[Any, Any, Any], resources: Injected) -> LogList:
    """List the attempts of all tasks; those of deleted tasks are not shown."""
    query = read_query(request.scope["query_string"], LogQuery, PERIOD_CHECKS, depth_rule)
    return await _page(resources, query, query.task_id)


@get("/api/tasks/{task_id:str}/logs", opt=READS_QUERY)
async def list_task_logs(request: Request[Any, Any, Any], task_id: FromPath[str], resources: Injected) -> LogList:
    """List the attempts of one task."""
    id_ = read_id(task_id)
    query = read_query(request.scope["query_string"], TaskLogQuery, PERIOD_CHECKS, depth_rule)
    if await task_sql.find_task(resources.pool, id_) is None:
        raise NotFoundError("there is no task with this id")
    return await _page(resources, query, id_)


async def _page(resources: Resources, query: TaskLogQuery, task_id: UUID | None) -> LogList:
    which = log_sql.LogFilter(task_id, query.status, *period(query.date_from, query.date_to))
    rows, total = await log_sql.list_logs(
        resources.pool, which, sort=query.sort, page=query.page, limit=query.limit
    )
    return LogList([shown(row) for row in rows], describe(query.page, query.limit, total))


def shown(row: Row) -> Log:
    """The attempt that a row of the table describes."""
    return Log(
        id=log_id(row["task_id"], row["scheduled_for"], row["seq"]),
        task_id=row["task_id"],
        execution_time=row["execution_time"],
        status=row["status"],
        retry_count=row["retry_count"],
        message=row["message"],
        created_at=row["created_at"],
    )
