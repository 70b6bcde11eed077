"""ADAPTER. The OpenAPI document and Swagger UI. Both are public, and the page asks no other host for anything.

The document is made of the very structs that read requests and write answers, so the two cannot differ.
"""

import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from tocsin_api import access
from tocsin_api.api_key_fields import ApiKey, ApiKeyList, ApiKeyQuery, CreatedApiKey, NewApiKey
from tocsin_api.examples import ANSWERS, BODIES
from tocsin_api.execution_fields import ExecutionKeyQuery, ExecutionQuery, ReplayRequest
from tocsin_api.executions import ExecutionDetails, ExecutionList, ManualExecution
from tocsin_api.health import Liveness, Readiness
from tocsin_api.idempotency import ALLOWED
from tocsin_api.idempotency import HEADER as KEY_HEADER
from tocsin_api.logs import LogList, LogQuery, TaskLogQuery
from tocsin_api.preconditions import ALLOWED as MATCH_ALLOWED
from tocsin_api.preconditions import HEADER as MATCH_HEADER
from tocsin_api.preconditions import PATTERN as MATCH_PATTERN
from tocsin_api.preview import Preview
from tocsin_api.problems import MEDIA_TYPE, Problem
from tocsin_api.replays import Replay
from tocsin_api.scheduler import Scheduler
from tocsin_api.schedules import PreviewQuery
from tocsin_api.stats import Stats
from tocsin_api.task_details import TaskDetails, TaskDetailsQuery
from tocsin_api.task_fields import NewTask, SaveQuery, TaskChange
from tocsin_api.task_lists import TaskList, TaskQuery
from tocsin_api.task_rows import Task

JSON = "application/json"
REF = "#/components/schemas/{name}"
ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "max-age=300",
}
ERRORS = {
    400: "The body, the query or the path is invalid; `errors` names each field.",
    401: "The API key is missing, wrong, or has ended.",
    403: "The API key is valid, but does not have the scope that is needed.",
    404: "There is no such task, execution or API key.",
    409: "The runAt has passed, what the Idempotency-Key made was deleted, or there are 1,000 API keys.",
    412: f"The task has another ETag than {MATCH_HEADER} names: it was changed meanwhile.",
    413: "The body is larger than 1 MB.",
    415: "Content-Type is not application/json.",
    422: f"The {KEY_HEADER} came with another request before.",
    429: "Too many requests in this minute: Retry-After says when to try again.",
    500: "The server failed; its log tells more under the request's id.",
    503: "It cannot be done for now; Retry-After says when to try again.",
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
HEADERS_OF = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}
HEADERS_TOLD = {
    name: {"description": description, "schema": {"type": "string"}, "example": example}
    for name, description, example in (
        ("WWW-Authenticate", "How to send a key, or which scope it needs.", 'Bearer realm="tocsin"'),
        ("Retry-After", "When to try again, in seconds.", "12"),
        ("RateLimit", "How many requests are left, for how many seconds.", '"address";r=0;t=12'),
        ("RateLimit-Policy", "How many requests there may be, in how many seconds.", '"address";q=100;w=60'),
    )
}
SECURITY_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": access.HEADER, "description": "An API key."},
    "bearer": {"type": "http", "scheme": "bearer", "description": f"The same key, instead of {access.HEADER}."},
}
MATCH_PARAMETERS = (
    {
        "name": MATCH_HEADER,
        "in": "header",
        "required": False,
        "description": f"{MATCH_ALLOWED}: nothing is changed where the task has another ETag by now",
        "schema": {"type": "string", "pattern": MATCH_PATTERN},
        "example": '"3"',
    },
)
ETAG = {"ETag": {"description": "Another one after each change of the task.", "schema": {"type": "string"}}}
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
    tag: str = "tasks"
    also: int | None = None
    """Another status that comes with the same answer."""
    has_key: bool = False
    """Whether it takes an Idempotency-Key."""
    has_match: bool = False
    """Whether it takes If-Match."""
    has_etag: bool = False
    """Whether its answer has an ETag."""


TASK = "/api/tasks/{task_id}"
STATS = "/api/tasks/dashboard/stats"
EXECUTIONS = "/api/executions"
SCHEDULER = "/api/scheduler"
KEYS = "/api/keys"
OPERATIONS = (
    Operation("get", "/api/tasks", "listTasks", "List tasks", TaskList, query=TaskQuery, errors=(400,)),
    Operation(
        "post",
        "/api/tasks",
        "createTask",
        "Create a task",
        Task,
        201,
        query=SaveQuery,
        body=NewTask,
        errors=(400, 409, 413, 415, 422),
        has_key=True,
        has_etag=True,
    ),
    Operation("get", STATS, "showStats", "All tasks and executions at a glance", Stats),
    Operation(
        "get",
        TASK,
        "getTask",
        "Show a task",
        TaskDetails,
        query=TaskDetailsQuery,
        errors=(400, 404),
        has_etag=True,
    ),
    Operation(
        "patch",
        TASK,
        "changeTask",
        "Change a task",
        Task,
        query=SaveQuery,
        body=TaskChange,
        errors=(400, 404, 409, 412, 413, 415),
        has_match=True,
        has_etag=True,
    ),
    Operation("delete", TASK, "deleteTask", "Delete a task", Task, errors=(400, 404, 412), has_match=True),
    Operation(
        "post",
        f"{TASK}/toggle",
        "toggleTask",
        "Stop an active task, start another",
        Task,
        errors=(400, 404, 409, 412),
        has_match=True,
        has_etag=True,
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
        "post",
        f"{TASK}/test",
        "testTask",
        "Run a task once now and wait for the outcome",
        ExecutionDetails,
        also=202,
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
        "get",
        f"{EXECUTIONS}/{{execution_id}}",
        "getExecution",
        "Show an execution with its attempts",
        ExecutionDetails,
        query=ExecutionKeyQuery,
        errors=(400, 404),
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
    Operation("get", KEYS, "listKeys", "List API keys", ApiKeyList, query=ApiKeyQuery, errors=(400,), tag="keys"),
    Operation(
        "post",
        KEYS,
        "createKey",
        "Make an API key",
        CreatedApiKey,
        201,
        body=NewApiKey,
        errors=(400, 409, 413, 415),
        tag="keys",
    ),
    Operation(
        "delete", f"{KEYS}/{{key_id}}", "deleteKey", "Delete an API key", ApiKey, errors=(400, 404), tag="keys"
    ),
    Operation("get", "/health/live", "live", "Is the process alive?", Liveness, tag="health"),
    Operation("get", "/health/ready", "ready", "Can requests be answered?", Readiness, tag="health"),
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
        *(NewTask, TaskChange, Task, TaskDetails, TaskList, Stats),
        *(ManualExecution, ExecutionDetails, ExecutionList, ReplayRequest, Replay),
        *(LogList, Preview, Scheduler, NewApiKey, CreatedApiKey, ApiKey, ApiKeyList, Problem, Liveness, Readiness),
    )
    _, schemas = msgspec.json.schema_components(structs, ref_template=REF)
    del schemas[TaskDetails.__name__]["required"]  # the query says which of them are there
    _show_examples(schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tocsin",
            "version": version("tocsin-api"),
            "description": "Schedules messages to webhooks. All times are UTC where they do not say otherwise.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _show_examples(schemas: dict[str, Any]) -> None:
    """At each property what the examples have there."""
    known = {kind.__name__: list(bodies.values()) for kind, bodies in BODIES.items()}
    known |= {name: [answer] for name, answer in ANSWERS.items()}
    for name, examples in known.items():
        for field, schema in schemas[name].get("properties", {}).items():
            values = [example[field] for example in examples if field in example]
            if values:
                schema.setdefault("examples", values[:1])


def _describe(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [
            *_path_parameters(operation),
            *_query_parameters(operation),
            *(KEY_PARAMETERS if operation.has_key else ()),
            *(MATCH_PARAMETERS if operation.has_match else ()),
        ],
        "responses": {str(operation.status): _content("The answer.", JSON, operation.answer)},
    }
    if operation.also is not None:
        described["responses"][str(operation.also)] = _content("As far as it is.", JSON, operation.answer)
    if operation.has_etag:
        described["responses"][str(operation.status)]["headers"] = ETAG
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            **_content("The fields.", JSON, operation.body),
        }
    if operation.answer is Readiness:
        described["responses"]["503"] = _content("PostgreSQL is away or not migrated.", JSON, Readiness)
    wanted = access.needed(operation.method.upper(), operation.path)
    if wanted is None:
        described["security"] = []
        return described
    described["description"] = f"Needs the scope `{wanted}`."
    described["security"] = [{scheme: [wanted]} for scheme in SECURITY_SCHEMES]
    for status in sorted({*operation.errors, 401, 403, 429, 500, 503}):
        answer = described["responses"][str(status)] = _content(ERRORS[status], MEDIA_TYPE, Problem)
        if status in HEADERS_OF:
            answer["headers"] = {name: HEADERS_TOLD[name] for name in HEADERS_OF[status]}
    return described


def _content(description: str, media_type: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": REF.format(name=kind.__name__)}}
    if kind in BODIES:
        content["examples"] = {name: {"value": body} for name, body in BODIES[kind].items()}
    elif kind.__name__ in ANSWERS and media_type == JSON:  # problems are of too many kinds for one
        content["example"] = ANSWERS[kind.__name__]
    return {"description": description, "content": {media_type: content}}


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    schema = {"type": "string", "format": "uuid"}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    _, schemas = msgspec.json.schema_components([operation.query])
    parameters = []
    required = schemas[operation.query.__name__].get("required", ())
    for name, property_ in schemas[operation.query.__name__]["properties"].items():
        schema = _without_null(property_)
        described = {"description": schema.pop("description"), "schema": schema}
        if "items" in schema:  # one parameter, with commas
            schema["type"] = "array"
            described["explode"] = False
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
    @get(path, media_type=media_type, sync_to_thread=False)
    def serve() -> Response[bytes]:
        return Response(content, media_type=media_type, headers=HEADERS)

    return serve
