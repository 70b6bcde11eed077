"""SHELL. How operations answer, by status: with what is asked for, or with a problem, of which one is shown."""

import re
from http import HTTPStatus
from typing import Any

import msgspec

from tocsin_api import access
from tocsin_api.answer_examples import ANSWERS
from tocsin_api.bodies import MAX_BYTES
from tocsin_api.errors import Violation
from tocsin_api.health import Readiness
from tocsin_api.idempotency import HEADER as KEY_HEADER
from tocsin_api.openapi_links import links
from tocsin_api.openapi_schemas import EXAMPLE_IDS, JSON, reference
from tocsin_api.operations import Operation
from tocsin_api.preconditions import HEADER as MATCH_HEADER
from tocsin_api.problems import MEDIA_TYPE, Problem
from tocsin_api.refusals import not_known

ERRORS = {
    400: "The body, the query, a header or the path is invalid; `errors` names each field.",
    401: "The API key is missing, wrong, or has ended.",
    403: "The API key is valid, but does not have the scope that is needed.",
    412: f"The task has another ETag than {MATCH_HEADER} names: it was changed meanwhile.",
    413: f"The body is larger than {MAX_BYTES:,} bytes.",
    415: "Content-Type is not application/json.",
    422: f"The {KEY_HEADER} came with another request before.",
    429: "Too many requests in this minute: Retry-After says when to try again.",
    500: "The server failed; its log tells more under the request's id.",
    503: "It cannot be done for now; Retry-After says when to try again.",
}
NOT_FOUND = {
    "task_id": "There is no such task.",
    "execution_id": "There is no execution with this id, taskId and scheduledFor.",
    "key_id": "There is no such API key.",
}
REQUEST_ID = "request-of-monday-morning"
HEADERS = {
    name: {"description": description, "schema": {"type": "string"}, "example": example}
    for name, description, example in (
        ("X-Request-ID", "What the server's log calls the request.", REQUEST_ID),
        ("ETag", "Another one after each change of the task.", '"3"'),
        (
            "Location",
            "Where the execution is shown.",
            "/api/executions/{execution_id}?taskId={task_id}&scheduledFor=2026-11-23T08:00:00Z".format(
                **EXAMPLE_IDS
            ),
        ),
        ("WWW-Authenticate", "How to send a key, or which scope it needs.", 'Bearer realm="tocsin"'),
        ("Retry-After", "When to try again, in seconds.", "12"),
        ("RateLimit", "How many requests are left, for how many seconds.", '"address";r=0;t=12'),
        ("RateLimit-Policy", "How many requests there may be, in how many seconds.", '"address";q=100;w=60'),
    )
}
HEADERS_OF = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    412: ("ETag",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}


def answers(operation: Operation) -> dict[str, Any]:
    """Each answer that an operation may give, by its status."""
    told = [*(["ETag"] if operation.has_etag else []), *(["Location"] if operation.has_location else [])]
    found = {operation.status: _answer("The answer.", JSON, operation.answer, *told)}
    if operation.also is not None:
        found[operation.also] = _answer("As far as it is.", JSON, operation.answer, *told)
    if leads_to := links(operation.name):
        found = {status: answer | {"links": leads_to} for status, answer in found.items()}
    found |= {status: _problem(operation, status, text) for status, text in _errors(operation).items()}
    if operation.answer is Readiness:
        found[503] = _answer("PostgreSQL is away or not migrated.", JSON, Readiness)
        found[503]["content"][JSON]["example"] = {"status": "unready", "postgresql": "away", "rabbitmq": "away"}
    return {str(status): answer for status, answer in sorted(found.items())}


def _errors(operation: Operation) -> dict[int, str]:
    """What may be wrong, by status. A body that is too long is refused also where none is read."""
    statuses = [413, 500]
    if access.needed(operation.method.upper(), operation.path) is not None:
        statuses += [400, 401, 403, 429, 503]
    if operation.has_match:
        statuses.append(412)
    if operation.body is not None:
        statuses.append(415)
    if operation.has_key:
        statuses.append(422)
    found = {status: ERRORS[status] for status in statuses}
    if operation.conflict:
        found[409] = operation.conflict
    if in_path := re.search(r"{(\w+)}", operation.path):
        found[404] = NOT_FOUND[in_path[1]]
    return found


def _problem(operation: Operation, status: int, text: str) -> dict[str, Any]:
    violations = [_violation(operation)] if status == 400 else []
    detail = "; ".join(f"{each.field}: {each.message}" for each in violations) or text
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=operation.path.format(**EXAMPLE_IDS),
        status_code=status,
        message=detail,
        request_id=REQUEST_ID,
        errors=violations,
    )
    answer = _answer(text, MEDIA_TYPE, Problem, *HEADERS_OF.get(status, ()))
    answer["content"][MEDIA_TYPE]["example"] = msgspec.to_builtins(problem)
    return answer


def _violation(operation: Operation) -> Violation:
    """Something that this operation may find wrong."""
    if "{" in operation.path:
        return Violation("id", "must be a UUID, got '7'")
    read = operation.body or operation.query
    known = [] if read is None else [field.encode_name for field in msgspec.structs.fields(read)]
    return Violation("colour", not_known("colour", known), None if operation.body is None else "/colour")


def _answer(description: str, media_type: str, kind: type[msgspec.Struct], *headers: str) -> dict[str, Any]:
    return {
        "description": description,
        "headers": {name: HEADERS[name] for name in ("X-Request-ID", *headers)},
        "content": {media_type: {"schema": reference(kind), "example": ANSWERS[kind.__name__]}},
    }
