"""The OpenAPI document against the routes."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar

from tocsin_api import api_key_fields, execution_fields
from tocsin_api.access import NEEDED
from tocsin_api.api_key_fields import NewApiKey
from tocsin_api.app import create_app
from tocsin_api.docs import openapi
from tocsin_api.errors import Violation
from tocsin_api.examples import ANSWERS, BODIES
from tocsin_api.execution_fields import ReplayRequest
from tocsin_api.execution_rows import Execution
from tocsin_api.executions import ExecutionDetails, ExecutionList, ManualExecution
from tocsin_api.inputs import read_body
from tocsin_api.logs import Log, LogList
from tocsin_api.pages import PageMeta
from tocsin_api.problems import Problem
from tocsin_api.task_details import TaskDetails
from tocsin_api.task_fields import NewTask, TaskChange
from tocsin_api.task_lists import TaskList
from tocsin_api.task_rows import Task
from tocsin_api.task_rules import change_rule, checks, new_task_rule, parser
from tocsin_common.settings import ApiSettings

UNDOCUMENTED = ("/api/docs", "/.well-known")  # pages and files, for browsers
METHODS = {"GET", "POST", "PATCH", "PUT", "DELETE"}


@pytest.fixture
def settings(sealing_keys: str) -> ApiSettings:
    return ApiSettings(
        database_url="postgresql://x",
        rabbitmq_url="amqp://x",
        sealing_keys=sealing_keys,
        api_key="a key of some length",
    )


@pytest.fixture
def app(settings: ApiSettings) -> Litestar:
    return create_app(settings)


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*(references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(value) for value in node))
    return set()


def test_document_names_exactly_the_routes_that_exist(app: Litestar) -> None:
    served = {
        (method.lower(), route.path_format)
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method in METHODS and not route.path_format.startswith(UNDOCUMENTED)
    }

    documented = {(method, path) for path, item in openapi()["paths"].items() for method in item}

    assert documented == served


def test_every_route_has_its_line_among_the_scopes_and_no_other_has(app: Litestar) -> None:
    served = {
        (method, route.path_format)
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method in METHODS
    }

    assert set(NEEDED) == served


def test_document_says_which_scope_each_operation_needs() -> None:
    documented = {
        (method.upper(), path): one["security"]
        for path, item in openapi()["paths"].items()
        for method, one in item.items()
    }

    assert documented == {
        route: [] if scope is None else [{"apiKey": [scope]}, {"bearer": [scope]}]
        for route, scope in NEEDED.items()
        if not route[1].startswith(UNDOCUMENTED)
    }


def test_document_describes_both_ways_to_send_a_key() -> None:
    schemes = openapi()["components"]["securitySchemes"]

    assert {name: scheme.get("name", scheme.get("scheme")) for name, scheme in schemes.items()} == {
        "apiKey": "X-API-KEY",
        "bearer": "bearer",
    }


def test_document_says_when_to_try_again() -> None:
    answers = openapi()["paths"]["/api/tasks"]["get"]["responses"]

    assert {status for status, answer in answers.items() if "Retry-After" in answer.get("headers", {})} == {
        "429",
        "503",
    }


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = json.loads(json.dumps(openapi()))

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    assert references(document) <= known


def test_bodies_refuse_unknown_fields_in_the_document_too() -> None:
    schemas = openapi()["components"]["schemas"]

    for name in ("NewTask", "TaskChange", "ReplayRequest", "ReplayFilter", "ExecutionKey", "NewApiKey"):
        assert schemas[name]["additionalProperties"] is False
    assert schemas["NewTask"]["required"] == ["name", "webhookUrl", "payload"]
    assert "required" not in schemas["TaskChange"] or schemas["TaskChange"]["required"] == []


@pytest.mark.parametrize(
    ("kind", "body"), [(kind, body) for kind, bodies in BODIES.items() for body in bodies.values()]
)
def test_body_that_the_document_shows_is_accepted(
    settings: ApiSettings, kind: type[msgspec.Struct], body: dict[str, Any]
) -> None:
    parse = parser(settings)
    row = {"webhook_url_masked": "https://discord.com/api/webhooks/123/…oken", "payload": '{"content": "hi"}'}
    rules = {
        NewTask: (checks(parse), new_task_rule(parse)),
        TaskChange: (checks(parse), change_rule(parse, row)),
        ReplayRequest: (execution_fields.CHECKS, execution_fields.replay_rule),
        NewApiKey: (api_key_fields.CHECKS,),
    }

    read_body("application/json", msgspec.json.encode(body), kind, *rules[kind])


@pytest.mark.parametrize("name", [*ANSWERS, "NewTask", "TaskChange"])
def test_each_field_has_a_description_and_an_example(name: str) -> None:
    for field, schema in openapi()["components"]["schemas"][name]["properties"].items():
        told = json.dumps(schema)
        assert "description" in told or "$ref" in told, field
        assert schema["examples"], field


@pytest.mark.parametrize(
    "kind",
    [Task, TaskDetails, TaskList, Execution, ExecutionDetails, ExecutionList, ManualExecution, Log, LogList,
     PageMeta, Violation, Problem],
)  # fmt: skip
def test_answer_that_the_document_shows_is_one(kind: type[msgspec.Struct]) -> None:
    example = ANSWERS[kind.__name__]

    answer = msgspec.json.decode(msgspec.json.encode(example), type=kind)

    assert list(example) == [field.encode_name for field in msgspec.structs.fields(kind)]
    assert msgspec.json.decode(msgspec.json.encode(answer)) == example


def test_api_md_lists_the_routes_of_the_document() -> None:
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    table = text[: text.index("## API keys")]
    listed = {each for each in re.findall(r"`([A-Z]+) (/[^`]*)`", table) if "well-known" not in each[1]}

    documented = {
        (method.upper(), re.sub(r"{\w+}", "{id}", path))
        for path, item in openapi()["paths"].items()
        for method in item
    }

    assert listed == documented


def test_document_shows_bodies_where_they_are_sent() -> None:
    paths = openapi()["paths"]

    created = paths["/api/tasks"]["post"]["requestBody"]["content"]["application/json"]
    changed = paths["/api/tasks/{task_id}"]["patch"]["requestBody"]["content"]["application/json"]
    assert created["examples"]["once"]["value"]["name"] == "Launch"
    assert changed["examples"]["noEnd"]["value"] == {"endsAt": None}


def test_document_names_the_idempotency_key_where_it_is_read() -> None:
    taking = {
        item["operationId"]
        for path in openapi()["paths"].values()
        for item in path.values()
        if "Idempotency-Key" in {parameter["name"] for parameter in item["parameters"]}
    }

    assert taking == {"createTask", "runTask", "testTask"}
