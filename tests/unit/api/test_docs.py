"""The OpenAPI document against the routes."""

import json
from typing import Any

import pytest
from litestar import Litestar

from tocsin_api.app import create_app
from tocsin_api.docs import openapi
from tocsin_common.settings import ApiSettings

METHODS = {"GET", "POST", "PATCH", "PUT", "DELETE"}


@pytest.fixture
def app(sealing_keys: str) -> Litestar:
    return create_app(
        ApiSettings(
            database_url="postgresql://x",
            rabbitmq_url="amqp://x",
            sealing_keys=sealing_keys,
            api_key="a key of some length",
        )
    )


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
        if method in METHODS and not route.path_format.startswith("/api/docs")
    }

    documented = {(method, path) for path, item in openapi()["paths"].items() for method in item}

    assert documented == served


def test_document_asks_for_the_key_where_the_routes_do(app: Litestar) -> None:
    public = {
        route.path_format
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if handler.opt.get("public")
    }

    documented = {
        path for path, item in openapi()["paths"].items() for one in item.values() if one.get("security") == []
    }

    assert documented == {path for path in public if not path.startswith("/api/docs")}
    assert openapi()["components"]["securitySchemes"]["apiKey"]["name"] == "X-API-KEY"


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = json.loads(json.dumps(openapi()))

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    assert references(document) <= known


def test_bodies_refuse_unknown_fields_in_the_document_too() -> None:
    schemas = openapi()["components"]["schemas"]

    assert schemas["NewTask"]["additionalProperties"] is False
    assert schemas["TaskChange"]["additionalProperties"] is False
    assert schemas["NewTask"]["required"] == ["name", "schedule", "webhookUrl", "payload"]
    assert "required" not in schemas["TaskChange"] or schemas["TaskChange"]["required"] == []
