"""SHELL. The route that shows one task with what becomes of it, or just the fields that are asked for."""

from collections.abc import Collection
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath
from msgspec import Meta

from tocsin_api import execution_sql, log_sql, task_sql
from tocsin_api.errors import InvalidValueError, NotFoundError
from tocsin_api.execution_rows import Execution
from tocsin_api.execution_rows import shown as shown_execution
from tocsin_api.inputs import read_id, read_query
from tocsin_api.logs import Log
from tocsin_api.logs import shown as shown_log
from tocsin_api.moments import Aware
from tocsin_api.postgresql import Row
from tocsin_api.preconditions import etag
from tocsin_api.queries import READS_QUERY
from tocsin_api.refusals import not_known, shown_text
from tocsin_api.resources import Injected, Resources
from tocsin_api.task_rows import Task, shown
from tocsin_api.upcoming import COUNT, next_runs

LOGS = 20


class TaskDetails(Task, frozen=True, kw_only=True, rename="camel"):
    """A task with what becomes of it."""

    failures_in_row: Annotated[int, Meta(description="executions that failed since the last success or start")]
    next_runs: Annotated[list[Aware], Meta(description=f"the next {COUNT} instants, without jitter")]
    last_execution: Annotated[Execution | None, Meta(description="the one with the latest scheduledFor")]
    logs: Annotated[list[Log], Meta(description=f"the latest {LOGS} attempts, newest first")]


FIELDS = tuple(field.encode_name for field in msgspec.structs.fields(TaskDetails))
OF_A_TASK = tuple(zip(Task.__struct_fields__, Task.__struct_encode_fields__, strict=True))
SelectedFields = Annotated[
    str,
    Meta(
        description=f"fields of the answer, with commas: {', '.join(FIELDS)}",
        examples=["name,status,nextRuns"],
        extra_json_schema={
            "minItems": 1,
            "items": {"title": "TaskField", "description": "a field", "type": "string", "enum": list(FIELDS)},
        },
    ),
]


class TaskDetailsQuery(msgspec.Struct, frozen=True):
    """What of a task may be asked for."""

    fields: SelectedFields | None = None


@get("/api/tasks/{task_id:str}", opt=READS_QUERY)
async def get_task(
    request: Request[Any, Any, Any], task_id: FromPath[str], resources: Injected
) -> Response[dict[str, Any]]:
    """Show one task. What is not asked for is not looked up."""
    id_ = read_id(task_id)
    query = read_query(request.scope["query_string"], TaskDetailsQuery, {"fields": _check_fields})
    wanted = set(FIELDS if query.fields is None else query.fields.split(","))
    row = await task_sql.find_task(resources.pool, id_, with_state="failuresInRow" in wanted)
    if row is None:
        raise NotFoundError("there is no task with this id")
    return Response(await _details(resources, row, wanted), headers={"ETag": etag(row["revision"])})


async def _details(resources: Resources, row: Row, wanted: Collection[str]) -> dict[str, Any]:
    values = msgspec.structs.asdict(shown(row))
    found = {encoded: values[name] for name, encoded in OF_A_TASK}
    if "failuresInRow" in wanted:
        found["failuresInRow"] = row["failures_in_row"]
    if "nextRuns" in wanted:
        found["nextRuns"] = next_runs(row, row["now"])
    if "lastExecution" in wanted:
        last = await execution_sql.find_last(resources.pool, row["id"])
        found["lastExecution"] = None if last is None else shown_execution(last)
    if "logs" in wanted:
        found["logs"] = [shown_log(each) for each in await log_sql.latest_logs(resources.pool, row["id"], LOGS)]
    return {name: found[name] for name in FIELDS if name in wanted}


def _check_fields(text: str) -> str:
    for name in text.split(","):
        if name not in FIELDS:
            raise InvalidValueError(f"{shown_text(name)} {not_known(name, FIELDS)}")
    return text
