"""The OpenAPI document against the routes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar

from tocsin_api import api_key_fields, execution_fields
from tocsin_api.access import NEEDED
from tocsin_api.answer_examples import ANSWERS
from tocsin_api.api_key_fields import NewApiKey
from tocsin_api.app import create_app
from tocsin_api.errors import Violation
from tocsin_api.examples import BODIES
from tocsin_api.execution_fields import ReplayRequest
from tocsin_api.execution_rows import Execution
from tocsin_api.inputs import read_body
from tocsin_api.logs import Log
from tocsin_api.openapi import openapi
from tocsin_api.openapi_links import LINKS
from tocsin_api.operations import OPERATIONS
from tocsin_api.pages import PageMeta
from tocsin_api.preview import NextInstant
from tocsin_api.problems import Problem
from tocsin_api.replays import NamedReplay, Refused
from tocsin_api.stats import ExecutionsToday, Lateness
from tocsin_api.task_fields import NewTask, TaskChange
from tocsin_api.task_rules import change_rule, checks, new_task_rule, parser
from tocsin_common.settings import ApiSettings

API_MD = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
TIME = re.compile(r"\d{4}-\d\d-\d\dT")
OF_ALL = {400, 401, 403, 413, 429, 500, 503}
UNDOCUMENTED = ("/api/docs", "/.well-known")  # pages and files, for browsers
WITHIN = (
    Execution,
    Log,
    PageMeta,
    Violation,
    Problem,
    Refused,
    NamedReplay,
    ExecutionsToday,
    Lateness,
    NextInstant,
)
STRUCTS = {kind.__name__: kind for kind in (*(each.answer for each in OPERATIONS), *WITHIN)}
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


def documented_routes() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path with `$` for ids, and operation."""
    for path, item in openapi()["paths"].items():
        for method, operation in item.items():
            yield method.upper(), re.sub(r"{\w+}", "$", path), operation


def own_errors(operation: dict[str, Any]) -> set[int]:
    """What an operation may be refused with, but for what all are."""
    return {int(status) for status in operation["responses"] if status >= "400"} - OF_ALL


def asked_for(command: str) -> tuple[str, str]:
    """Method and path of a line of curl; ids are `$`."""
    path = re.search(r"\$API(/[^\s\"?]*)", command)
    method = re.search(r"-X ([A-Z]+)", command)
    assert path is not None, command
    given = method[1] if method else "POST" if "-d '{" in command else "GET"
    return given, re.sub(r"\$[A-Z]+", "$", path[1])


def read_pointer(node: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        node = node[int(step)] if isinstance(node, list) else node[step]
    return node


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


def test_links_lead_to_operations_and_give_them_parameters_that_they_have() -> None:
    operations = {each["operationId"]: each for item in openapi()["paths"].values() for each in item.values()}

    found = [
        (link["operationId"], set(link["parameters"]))
        for operation in operations.values()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]

    assert found
    for name, given in found:
        parameters = {each["name"]: each["required"] for each in operations[name]["parameters"]}
        assert given <= set(parameters)
        assert given >= {each for each, is_required in parameters.items() if is_required}


@pytest.mark.parametrize("name", LINKS)
def test_what_a_link_takes_of_an_answer_is_there(name: str) -> None:
    operation = next(each for each in OPERATIONS if each.name == name)
    answer = ANSWERS[operation.answer.__name__]

    for taken in LINKS[name].values():
        for place in taken.values():
            if place.startswith("$response.body#"):
                assert read_pointer(answer, place.removeprefix("$response.body#")) is not None


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


def untold(document: dict[str, Any]) -> Iterator[str]:
    """All of the document that lacks a description or an example, by its place."""
    for name, schema in document["components"]["schemas"].items():
        if not schema.get("description"):
            yield name
        for field, property_ in schema.get("properties", {}).items():
            if not (property_.get("description") and "examples" in property_):
                yield f"{name}.{field}"
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for place in untold_of(operation):
                yield f"{method} {path}: {place}"


def untold_of(operation: dict[str, Any]) -> Iterator[str]:
    if not (operation.get("summary") and operation.get("description") and operation.get("tags")):
        yield "summary, description or tags"
    for parameter in operation["parameters"]:
        if not (parameter.get("description") and "example" in parameter):
            yield parameter["name"]
    for place, told in {"body": operation.get("requestBody"), **operation["responses"]}.items():
        contents = [] if told is None else told["content"].values()
        if told and not (
            told.get("description") and all("example" in each or "examples" in each for each in contents)
        ):
            yield place
        for name, header in (told or {}).get("headers", {}).items():
            if not (header.get("description") and "example" in header):
                yield f"{place}, {name}"


def test_times_are_told_as_times() -> None:
    for name, schema in openapi()["components"]["schemas"].items():
        for field, property_ in schema.get("properties", {}).items():
            if any(TIME.match(str(each)) for each in property_["examples"]):
                assert "date-time" in json.dumps(property_), f"{name}.{field}"


@pytest.mark.parametrize("body", ["NewTask", "TaskChange"])
def test_times_of_a_body_are_told_apart(body: str) -> None:
    fields = openapi()["components"]["schemas"][body]["properties"]

    assert len({fields[name]["description"] for name in ("runAt", "startsAt", "endsAt")}) == 3


def test_everything_has_a_description_and_an_example() -> None:
    assert list(untold(openapi())) == []


def test_what_has_no_description_or_example_is_found() -> None:
    document = openapi()
    operation = document["paths"]["/api/tasks/{task_id}/run"]["post"]
    del document["components"]["schemas"]["Stats"]["description"]
    del document["components"]["schemas"]["Task"]["properties"]["name"]["description"]
    del document["components"]["schemas"]["Log"]["properties"]["id"]["examples"]
    del operation["parameters"][0]["example"]
    del operation["responses"]["404"]["content"]["application/problem+json"]["example"]

    assert set(untold(document)) == {
        "Stats",
        "Task.name",
        "Log.id",
        "post /api/tasks/{task_id}/run: task_id",
        "post /api/tasks/{task_id}/run: 404",
    }


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_that_the_document_shows_is_one(name: str) -> None:
    kind, example = STRUCTS[name], ANSWERS[name]

    answer = msgspec.json.decode(msgspec.json.encode(example), type=kind)

    assert list(example) == [field.encode_name for field in msgspec.structs.fields(kind)]
    assert msgspec.json.decode(msgspec.json.encode(answer)) == example


def test_api_md_lists_the_routes_of_the_document_with_what_each_is_refused_with() -> None:
    table = API_MD[: API_MD.index("## API keys")]
    listed = {
        route: set(map(int, re.findall(r"\d{3}", refused)))
        for _, routes, _, refused, _ in (line.split("|") for line in table.splitlines() if line.startswith("| `"))
        for route in re.findall(r"`([A-Z]+ /[^`]*)`", routes)
        if "well-known" not in route
    }

    documented = {
        f"{method} {path.replace('$', '{id}')}": own_errors(each) for method, path, each in documented_routes()
    }

    assert listed == documented


def test_api_md_has_a_line_of_curl_for_each_operation() -> None:
    commands = re.findall(r"^curl (?:.*\\\n)*.*", API_MD, re.MULTILINE) + re.findall(r"\$\((curl .*)\)", API_MD)

    asked = {asked_for(command) for command in commands}

    documented = {(method, path) for method, path, _ in documented_routes()}
    assert asked - {("GET", "/.well-known/security.txt")} == documented


def test_api_md_explains_each_error() -> None:
    table = API_MD[API_MD.index("## Errors") :]

    explained = set(re.findall(r"^\| (\d{3}) \|", table, re.MULTILINE))

    documented = {
        status
        for item in openapi()["paths"].values()
        for operation in item.values()
        for status in operation["responses"]
        if status >= "400"
    }
    assert explained == documented | {"405"}  # of a path, not of an operation


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
