"""SHELL. The route that lists tasks, one page at a time."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get
from msgspec import Meta

from tocsin_api import task_sql
from tocsin_api.errors import InvalidValueError
from tocsin_api.inputs import NO_NUL, read_query
from tocsin_api.pages import PAGE_META, Limit, PageMeta, PageNumber, describe
from tocsin_api.queries import READS_QUERY
from tocsin_api.resources import Injected
from tocsin_api.task_fields import MAX_NAME_LENGTH
from tocsin_api.task_rows import Status, Task, shown

Search = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        description=f"a part of the name, 1 to {MAX_NAME_LENGTH} characters, in any case",
        examples=["stand"],
        extra_json_schema={"pattern": NO_NUL},
    ),
]
Sort = Annotated[
    Literal["name", "-name", "createdAt", "-createdAt", "updatedAt", "-updatedAt"],
    Meta(
        title="TaskSort",
        description="name, createdAt or updatedAt, with a leading - for descending",
        examples=["-createdAt"],
        extra_json_schema={"type": "string"},
    ),
]


class TaskList(msgspec.Struct, frozen=True):
    """One page of tasks."""

    data: Annotated[list[Task], Meta(description="those of the page")]
    meta: Annotated[PageMeta, PAGE_META]


class TaskQuery(msgspec.Struct, frozen=True, rename="camel"):
    """What a list of tasks may be asked for."""

    page: PageNumber = 1
    limit: Limit = 10
    status: Status | None = None
    search: Search | None = None
    sort: Sort = "-createdAt"


@get("/api/tasks", opt=READS_QUERY)
async def list_tasks(request: Request[Any, Any, Any], resources: Injected) -> TaskList:
    """List the tasks, one page at a time."""
    query = read_query(request.scope["query_string"], TaskQuery, {"search": _check_search})
    rows, total = await task_sql.list_tasks(resources.pool, **msgspec.structs.asdict(query))
    return TaskList([shown(row) for row in rows], describe(query.page, query.limit, total))


def _check_search(search: str) -> str:
    if "\0" in search:
        raise InvalidValueError("must not hold NUL characters")
    return search
