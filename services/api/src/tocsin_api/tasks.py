"""SHELL. The routes under /api/tasks: people manage their tasks here."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.params import FromPath
from msgspec import Meta, Raw, UnsetType
from uuid_utils.compat import uuid7

from tocsin_api import sql
from tocsin_api.errors import InvalidInputError, InvalidValueError, NotFoundError, Violation
from tocsin_api.inputs import read_body, read_id, read_query
from tocsin_api.pages import Limit, PageMeta, PageNumber, describe
from tocsin_api.resources import Injected, Resources
from tocsin_api.task_fields import MASK, MAX_NAME_LENGTH, NewTask, TaskChange, checks
from tocsin_common import failpoints
from tocsin_common.messages import ScheduleChange

AnyRequest = Request[Any, Any, Any]
T = TypeVar("T")
Status = Annotated[
    Literal["ACTIVE", "INACTIVE", "FAILED"],
    Meta(description="ACTIVE, INACTIVE or FAILED", extra_json_schema={"type": "string"}),
]
Search = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        description=f"a part of the name, 1 to {MAX_NAME_LENGTH} characters, in any case",
    ),
]
Sort = Annotated[
    Literal["name", "-name", "createdAt", "-createdAt", "updatedAt", "-updatedAt"],
    Meta(
        description="name, createdAt or updatedAt, with a leading - for descending",
        extra_json_schema={"type": "string"},
    ),
]


class Task(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A task as answers show it."""

    id: UUID
    name: str
    schedule: str
    webhook_url: Annotated[str, Meta(description="masked: the URL itself is a secret")]
    payload: Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
    max_retry: int
    status: Status
    created_at: datetime
    updated_at: datetime


class TaskList(msgspec.Struct, frozen=True):
    """One page of tasks."""

    data: list[Task]
    meta: PageMeta


class TaskQuery(msgspec.Struct, frozen=True, rename="camel"):
    """What a list of tasks may be asked for."""

    page: PageNumber = 1
    limit: Limit = 10
    status: Status | None = None
    search: Search | None = None
    sort: Sort = "-createdAt"


@post("/api/tasks")
async def create_task(request: AnyRequest, resources: Injected) -> Task:
    """Create a task; it is scheduled from now on unless its status is INACTIVE."""
    new = read_body(
        request.headers.get("content-type"),
        await request.body(),
        NewTask,
        checks(resources.parse_webhook, min_interval_s=resources.min_interval_s),
    )
    task_id = uuid7()
    values = sql.TaskValues(
        new.name,
        new.schedule,
        _seal(resources, task_id, new.webhook_url),
        bytes(new.payload).decode(),
        new.max_retry,
        new.status,
    )
    return _announced(resources, await sql.add_task(resources.pool, task_id, values))


@get("/api/tasks")
async def list_tasks(request: AnyRequest, resources: Injected) -> TaskList:
    """List the tasks, one page at a time."""
    query = read_query(request.scope["query_string"], TaskQuery, {"search": _check_search})
    rows, total = await sql.list_tasks(resources.pool, **msgspec.structs.asdict(query))
    return TaskList([_shown(row) for row in rows], describe(query.page, query.limit, total))


@get("/api/tasks/{task_id:str}")
async def get_task(task_id: FromPath[str], resources: Injected) -> Task:
    """Show one task."""
    return _shown(_found(await sql.find_task(resources.pool, read_id(task_id))))


@patch("/api/tasks/{task_id:str}")
async def change_task(request: AnyRequest, task_id: FromPath[str], resources: Injected) -> Task:
    """Change any of a task's fields. What changes nothing leaves no trace."""
    id_ = read_id(task_id)
    change = read_body(
        request.headers.get("content-type"),
        await request.body(),
        TaskChange,
        checks(resources.parse_webhook, min_interval_s=resources.min_interval_s, allow_masked=True),
    )
    values = sql.TaskValues(
        _given(change.name),
        _given(change.schedule),
        await _changed_url(resources, id_, change.webhook_url),
        None if isinstance(change.payload, UnsetType) else bytes(change.payload).decode(),
        _given(change.max_retry),
        _given(change.status),
    )
    return _announced(resources, await sql.change_task(resources.pool, id_, values))


@delete("/api/tasks/{task_id:str}", status_code=200)
async def delete_task(task_id: FromPath[str], resources: Injected) -> Task:
    """Delete a task; the answer shows it for the last time, with the status it had."""
    row = _found(await sql.delete_task(resources.pool, read_id(task_id)))
    return msgspec.structs.replace(_announced(resources, row), status=row["old_status"])


@post("/api/tasks/{task_id:str}/toggle", status_code=200)
async def toggle_task(task_id: FromPath[str], resources: Injected) -> Task:
    """Stop an ACTIVE task, start an INACTIVE or FAILED one."""
    return _announced(resources, await sql.toggle_task(resources.pool, read_id(task_id)))


def _announced(resources: Resources, row: sql.Row | None) -> Task:
    """The answer to a change, after its hint is under way."""
    row = _found(row)
    if row["revision"] is not None:
        failpoints.reach("api.task_committed")
        resources.hints.announce(ScheduleChange(task_id=row["id"], revision=row["revision"]))
    return _shown(row)


def _found(row: sql.Row | None) -> sql.Row:
    if row is None:
        raise NotFoundError("there is no task with this id")
    return row


def _shown(row: sql.Row) -> Task:
    return Task(
        id=row["id"],
        name=row["name"],
        schedule=row["schedule"],
        webhook_url=row["webhook_url_masked"],
        payload=Raw(row["payload"].encode()),
        max_retry=row["max_retry"],
        status=row["status"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _seal(resources: Resources, task_id: UUID, url: str) -> sql.SealedUrl:
    webhook = resources.parse_webhook(url)
    return sql.SealedUrl(
        resources.sealer.seal(url, context=task_id.bytes),
        resources.sealer.hash(url),
        webhook.masked,
        webhook.destination,
    )


async def _changed_url(resources: Resources, task_id: UUID, url: str | UnsetType) -> sql.SealedUrl | None:
    """None leaves the URL alone: nothing was sent, or the masked form that answers show."""
    if isinstance(url, UnsetType):
        return None
    if MASK not in url:
        return _seal(resources, task_id, url)
    task = _found(await sql.find_task(resources.pool, task_id))
    if task["webhook_url_masked"] != url:
        message = "is not this task's masked URL; send the whole URL, or leave the field out"
        raise InvalidInputError([Violation("webhookUrl", message)])
    return None


def _given(value: T | UnsetType) -> T | None:
    return None if isinstance(value, UnsetType) else value


def _check_search(search: str) -> str:
    if "\0" in search:
        raise InvalidValueError("must not hold NUL characters")
    return search
