"""SHELL. The parameters that the OpenAPI document tells of, each with what it may be and an example."""

import re
from typing import Any

import msgspec

from tocsin_api import idempotency, preconditions
from tocsin_api.openapi_schemas import EXAMPLE_IDS, components, shared
from tocsin_api.operations import Operation

IN_PATHS = {
    "task_id": "the task's `id`",
    "execution_id": "the execution's `executionId`",
    "key_id": "the `id` of the API key",
}
KEY = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "description": f"{idempotency.ALLOWED}: what comes with the same key again within 24 hours is not done twice",
    "schema": {"type": "string", "pattern": idempotency.PATTERN},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}
MATCH = {
    "name": preconditions.HEADER,
    "in": "header",
    "required": False,
    "description": f"{preconditions.ALLOWED}: nothing is changed where the task has another ETag by now",
    "schema": {"type": "string", "pattern": preconditions.PATTERN},
    "example": '"3"',
}


def parameters(operation: Operation) -> list[dict[str, Any]]:
    """All that an operation reads beside its body."""
    return [
        *(_in_path(name) for name in re.findall(r"{(\w+)}", operation.path)),
        *(() if operation.query is None else _in_query(operation.query)),
        *((KEY,) if operation.has_key else ()),
        *((MATCH,) if operation.has_match else ()),
    ]


def _in_path(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": IN_PATHS[name],
        "schema": {"type": "string", "format": "uuid"},
        "example": EXAMPLE_IDS[name],
    }


def _in_query(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    schema = components([query])[query.__name__]
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, **_described(property_)}
        for name, property_ in schema["properties"].items()
    ]


def _described(property_: dict[str, Any]) -> dict[str, Any]:
    schema = _without_null(property_)
    told = {"description": schema.pop("description"), "example": schema.pop("examples")[0]}
    if "items" not in schema:
        return {**told, "schema": shared(schema)}
    example = told["example"].split(",")  # one parameter, with commas
    return {**told, "example": example, "schema": shared(schema | {"type": "array"}), "explode": False}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """In a query string a parameter is there or not: there is no null."""
    if "anyOf" not in schema:
        return dict(schema)
    (given,) = [each for each in schema["anyOf"] if each != {"type": "null"}]
    return dict(given)
