"""SHELL. The routes that show the task log: one row an attempt, the newest first."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, get
from litestar.params import FromPath
from msgspec import Meta

from tocsin_api import sql
from tocsin_api.errors import InvalidInputError, InvalidValueError, NotFoundError, Violation
from tocsin_api.inputs import read_id, read_query
from tocsin_api.pages import Limit, PageMeta, PageNumber, describe
from tocsin_api.resources import Injected, Resources
from tocsin_common.messages import log_id

LogStatus = Annotated[
    Literal["SUCCESS", "FAILED", "RETRYING"],
    Meta(description="SUCCESS, FAILED or RETRYING", extra_json_schema={"type": "string"}),
]
Moment = Annotated[
    str,
    Meta(
        description="a day (2026-01-31, in UTC) or an RFC 3339 time (2026-01-31T12:00:00Z)",
        examples=["2026-01-31", "2026-01-31T12:00:00Z"],
    ),
]
DAY_LENGTH = len("2026-01-31")


class Log(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One attempt to post a task's message."""

    id: UUID
    task_id: UUID
    execution_time: datetime
    status: LogStatus
    retry_count: int
    message: str
    created_at: datetime


class LogList(msgspec.Struct, frozen=True):
    """One page of logs."""

    data: list[Log]
    meta: PageMeta


class TaskLogQuery(msgspec.Struct, frozen=True, rename="camel"):
    """What the logs of one task may be asked for. `dateTo` is inclusive."""

    page: PageNumber = 1
    limit: Limit = 20
    status: LogStatus | None = None
    date_from: Moment | None = None
    date_to: Moment | None = None


class LogQuery(TaskLogQuery, frozen=True, rename="camel"):
    """What the logs of all tasks may be asked for."""

    task_id: Annotated[UUID, Meta(description="a task's id (UUID)")] | None = None


@get("/api/logs")
async def list_logs(request: Request[Any, Any, Any], resources: Injected) -> LogList:
    """List the attempts of all tasks; those of deleted tasks are not shown."""
    query = read_query(request.scope["query_string"], LogQuery, _CHECKS)
    return await _page(resources, query, query.task_id)


@get("/api/tasks/{task_id:str}/logs")
async def list_task_logs(request: Request[Any, Any, Any], task_id: FromPath[str], resources: Injected) -> LogList:
    """List the attempts of one task."""
    id_ = read_id(task_id)
    query = read_query(request.scope["query_string"], TaskLogQuery, _CHECKS)
    if await sql.find_task(resources.pool, id_) is None:
        raise NotFoundError("there is no task with this id")
    return await _page(resources, query, id_)


async def _page(resources: Resources, query: TaskLogQuery, task_id: UUID | None) -> LogList:
    since = None if query.date_from is None else _first_moment(query.date_from)
    until = None if query.date_to is None else _moment_after(query.date_to)
    if since is not None and until is not None and since >= until:
        raise InvalidInputError([Violation("dateTo", "must not lie before dateFrom")])
    which = sql.LogFilter(task_id, query.status, since, until)
    rows, total = await sql.list_logs(resources.pool, which, page=query.page, limit=query.limit)
    return LogList([_shown(row) for row in rows], describe(query.page, query.limit, total))


def _shown(row: sql.Row) -> Log:
    return Log(
        id=log_id(row["task_id"], row["scheduled_for"], row["seq"]),
        task_id=row["task_id"],
        execution_time=row["execution_time"],
        status=row["status"],
        retry_count=row["retry_count"],
        message=row["message"],
        created_at=row["created_at"],
    )


def _check_moment(text: str) -> str:
    try:
        _moment_after(text)
    except (msgspec.ValidationError, OverflowError) as error:
        raise InvalidValueError(
            "must be a day (2026-01-31) or a time with its offset (2026-01-31T12:00:00Z)"
        ) from error
    return text


def _first_moment(text: str) -> datetime:
    """A day means its start in UTC."""
    if len(text) == DAY_LENGTH:
        day = msgspec.convert(text, date)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    moment: datetime = msgspec.convert(text, Annotated[datetime, Meta(tz=True)])
    return moment.astimezone(UTC)


def _moment_after(text: str) -> datetime:
    """The end of a day, or the first instant after a time."""
    width = timedelta(days=1) if len(text) == DAY_LENGTH else timedelta(microseconds=1)
    return _first_moment(text) + width


_CHECKS = {"date_from": _check_moment, "date_to": _check_moment}
