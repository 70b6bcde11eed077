"""SHELL. The OpenAPI document. It is made of the very structs that read requests and write answers, so the two
cannot differ.
"""

from importlib.metadata import version
from typing import Any

from tocsin_api import access
from tocsin_api.examples import BODIES
from tocsin_api.openapi_answers import answers
from tocsin_api.openapi_parameters import parameters
from tocsin_api.openapi_schemas import JSON, reference, schemas
from tocsin_api.operations import OPERATIONS, Operation

INTRODUCTION = """Schedules messages to webhooks. All times are UTC where they do not say otherwise.

Each answer has the header `X-Request-ID`: the one that was sent, if it has 8 to 64 letters, digits, `.`, `_` or
`-`, else a new one. Query parameters and fields of bodies that are not known are refused with 400. What is at no
path is answered with 404, and what a path does not allow with 405 and the header `Allow`, both as a `Problem`."""
TAGS = {
    "tasks": "What people manage: a schedule, a webhook and a message.",
    "logs": "Attempts to post, one by one.",
    "executions": "What tasks owe and have owed, and what became of it.",
    "schedules": "What a schedule comes to, without a task.",
    "scheduler": "Who schedules, how far, and a pause of everything.",
    "keys": "API keys, which administrators give out and take back.",
    "health": "For orchestrators and load balancers.",
}
SECURITY_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": access.HEADER, "description": "An API key."},
    "bearer": {"type": "http", "scheme": "bearer", "description": f"The same key, instead of {access.HEADER}."},
}


def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tocsin",
            "version": version("tocsin-api"),
            "description": INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": description} for name, description in TAGS.items()],
        "paths": paths,
        "components": {"schemas": schemas(), "securitySchemes": SECURITY_SCHEMES},
    }


def _describe(operation: Operation) -> dict[str, Any]:
    wanted = access.needed(operation.method.upper(), operation.path)
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": "Needs no API key." if wanted is None else f"Needs the scope `{wanted}`.",
        "tags": [operation.tag],
        "security": [] if wanted is None else [{scheme: [wanted]} for scheme in SECURITY_SCHEMES],
        "parameters": parameters(operation),
        "responses": answers(operation),
    }
    if operation.body is not None:
        examples = {name: {"value": body} for name, body in BODIES[operation.body].items()}
        described["requestBody"] = {
            "description": (operation.body.__doc__ or "").partition("\n")[0],
            "required": True,
            "content": {JSON: {"schema": reference(operation.body), "examples": examples}},
        }
    return described
