"""ADAPTER. The OpenAPI document and Swagger UI. Both are public, and the page asks no other host for anything.

The document is made of the very structs that read requests and write answers, so the two cannot differ.
"""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from tocsin_api.auth import HEADER
from tocsin_api.examples import BODIES
from tocsin_api.execution_fields import ExecutionQuery, ReplayRequest
from tocsin_api.executions import ExecutionList, ManualExecution
from tocsin_api.health import Liveness, Readiness
from tocsin_api.idempotency import ALLOWED
from tocsin_api.idempotency import HEADER as KEY_HEADER
from tocsin_api.logs import LogList, LogQuery, TaskLogQuery
from tocsin_api.preview import Preview
from tocsin_api.problems import MEDIA_TYPE, Problem
from tocsin_api.replays import Replay
from tocsin_api.scheduler import Scheduler
from tocsin_api.schedules import PreviewQuery
from tocsin_api.stats import Stats
from tocsin_api.task_fields import NewTask, TaskChange
from tocsin_api.task_rows import Task
from tocsin_api.tasks import TaskList, TaskQuery

JSON = "application/json"
REF = "#/components/schemas/{name}"
ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
ERRORS = {
    400: "The body, the query or the path is invalid; `errors` names each field.",
    401: "The API key is missing or wrong.",
    404: "There is no such task.",
    409: "The task's runAt has passed.",
    413: "The body is larger than 1 MB.",
    415: "Content-Type is not application/json.",
    422: f"The {KEY_HEADER} came with another request before.",
    500: "The server failed; its log tells more under the request's id.",
    503: "PostgreSQL is away for now, or has no place for a run yet; Retry-After says when to try again.",
}
KEY_PARAMETERS = (
    {
        "name": KEY_HEADER,
        "in": "header",
        "required": False,
        "description": f"{ALLOWED}: what comes with the same key again within 24 hours is not done twice",
        "schema": {"type": "string", "minLength": 1},
        "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    },
)
PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tocsin API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""
START = b"""SwaggerUIBundle({
  url: "/api/docs-json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null, persistAuthorization: false,
});
"""


class Operation(NamedTuple):
    """One line of the document."""

    method: str
    path: str
    name: str
    summary: str
    answer: type[msgspec.Struct]
    status: int = 200
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    errors: tuple[int, ...] = ()
    public: bool = False
    tag: str = "tasks"
    has_key: bool = False
    """Whether it takes an Idempotency-Key."""


TASK = "/api/tasks/{task_id}"
STATS = "/api/tasks/dashboard/stats"
EXECUTIONS = "/api/executions"
SCHEDULER = "/api/scheduler"
OPERATIONS = (
    Operation("get", "/api/tasks", "listTasks", "List tasks", TaskList, query=TaskQuery, errors=(400,)),
    Operation(
        "post", "/api/tasks", "createTask", "Create a task", Task, 201, body=NewTask, errors=(400, 413, 415)
    ),
    Operation("get", STATS, "showStats", "All tasks and executions at a glance", Stats),
    Operation("get", TASK, "getTask", "Show a task", Task, errors=(400, 404)),
    Operation(
        "patch", TASK, "changeTask", "Change a task", Task, body=TaskChange, errors=(400, 404, 409, 413, 415)
    ),
    Operation("delete", TASK, "deleteTask", "Delete a task", Task, errors=(400, 404)),
    Operation(
        "post", f"{TASK}/toggle", "toggleTask", "Stop an active task, start another", Task, errors=(400, 404, 409)
    ),
    Operation(
        "post",
        f"{TASK}/run",
        "runTask",
        "Run a task once now",
        ManualExecution,
        202,
        errors=(400, 404, 413, 422),
        has_key=True,
    ),
    Operation(
        "get",
        f"{TASK}/logs",
        "listTaskLogs",
        "List a task's attempts",
        LogList,
        query=TaskLogQuery,
        errors=(400, 404),
        tag="logs",
    ),
    Operation(
        "get", "/api/logs", "listLogs", "List all attempts", LogList, query=LogQuery, errors=(400,), tag="logs"
    ),
    Operation(
        "get",
        EXECUTIONS,
        "listExecutions",
        "List what tasks owe and have owed",
        ExecutionList,
        query=ExecutionQuery,
        errors=(400,),
        tag="executions",
    ),
    Operation(
        "post",
        f"{EXECUTIONS}/replay",
        "replayExecutions",
        "Bring failed executions back",
        Replay,
        202,
        body=ReplayRequest,
        errors=(400, 413, 415),
        tag="executions",
    ),
    Operation(
        "get",
        "/api/schedules/preview",
        "previewSchedule",
        "Show when a schedule comes",
        Preview,
        query=PreviewQuery,
        errors=(400,),
        tag="schedules",
    ),
    Operation("get", SCHEDULER, "showScheduler", "Who schedules, and how far?", Scheduler, tag="scheduler"),
    Operation("post", f"{SCHEDULER}/pause", "pauseScheduler", "Pause all schedules", Scheduler, tag="scheduler"),
    Operation("post", f"{SCHEDULER}/resume", "resumeScheduler", "End the pause", Scheduler, tag="scheduler"),
    Operation("get", "/health/live", "live", "Is the process alive?", Liveness, public=True, tag="health"),
    Operation("get", "/health/ready", "ready", "Can requests be answered?", Readiness, public=True, tag="health"),
)


def handlers() -> list[HTTPRouteHandler]:
    """The routes under /api/docs."""
    document = msgspec.json.encode(openapi())
    return [
        _serve("/api/docs-json", document, JSON),
        _serve("/api/docs", PAGE, "text/html"),
        _serve("/api/docs/start.js", START, "text/javascript"),
        *(_serve(f"/api/docs/{name}", _asset(name), kind) for name, kind in ASSETS.items()),
    ]


def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _describe(operation)
    structs = (
        *(NewTask, TaskChange, Task, TaskList, Stats, ManualExecution, ExecutionList, ReplayRequest, Replay),
        *(LogList, Preview, Scheduler, Problem, Liveness, Readiness),
    )
    _, schemas = msgspec.json.schema_components(structs, ref_template=REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tocsin",
            "version": version("tocsin-api"),
            "description": "Schedules messages to webhooks. All times are UTC where they do not say otherwise.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"apiKey": {"type": "apiKey", "in": "header", "name": HEADER}},
        },
    }


def _describe(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [
            *_path_parameters(operation),
            *_query_parameters(operation),
            *(KEY_PARAMETERS if operation.has_key else ()),
        ],
        "responses": {str(operation.status): _content("The answer.", JSON, operation.answer)},
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            **_content("The fields.", JSON, operation.body),
        }
    if operation.answer is Readiness:
        described["responses"]["503"] = _content("PostgreSQL is away or not migrated.", JSON, Readiness)
    if operation.public:
        described["security"] = []
        return described
    for status in sorted({*operation.errors, 401, 500, 503}):
        described["responses"][str(status)] = _content(ERRORS[status], MEDIA_TYPE, Problem)
    return described


def _content(description: str, media_type: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": REF.format(name=kind.__name__)}}
    if kind in BODIES:
        content["examples"] = {name: {"value": body} for name, body in BODIES[kind].items()}
    return {"description": description, "content": {media_type: content}}


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    if "{task_id}" not in operation.path:
        return []
    schema = {"type": "string", "format": "uuid"}
    return [{"name": "task_id", "in": "path", "required": True, "schema": schema}]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    _, schemas = msgspec.json.schema_components([operation.query])
    parameters = []
    required = schemas[operation.query.__name__].get("required", ())
    for name, property_ in schemas[operation.query.__name__]["properties"].items():
        schema = _without_null(property_)
        described = {"description": schema.pop("description"), "schema": schema}
        parameters.append({"name": name, "in": "query", "required": name in required, **described})
    return parameters


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """In a query string a parameter is there or not: there is no null."""
    if "anyOf" not in schema:
        return dict(schema)
    (given,) = [each for each in schema["anyOf"] if each != {"type": "null"}]
    return dict(given)


def _asset(name: str) -> bytes:
    spec = find_spec("swagger_ui")  # finds the package and runs none of it
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("swagger-ui-py is not installed")
    return (Path(spec.origin).parent / "static" / name).read_bytes()


def _serve(path: str, content: bytes, media_type: str) -> HTTPRouteHandler:
    @get(path, media_type=media_type, opt={"public": True}, sync_to_thread=False)
    def serve() -> Response[bytes]:
        return Response(content, media_type=media_type, headers=HEADERS)

    return serve
