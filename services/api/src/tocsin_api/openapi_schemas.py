"""SHELL. The schemas of the OpenAPI document: made of structs, with an example at each field.

What several fields share, and has a title of its own, is told once, so that clients that are generated from the
document have one type for it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tocsin_api.answer_examples import ANSWERS, EXECUTION_ID, TASK_ID
from tocsin_api.examples import BODIES
from tocsin_api.operations import OPERATIONS
from tocsin_api.problems import Problem
from tocsin_api.task_details import TaskDetails

JSON = "application/json"
REF = "#/components/schemas/{name}"
EXAMPLE_IDS = {"task_id": TASK_ID, "execution_id": EXECUTION_ID, "key_id": TASK_ID}

Schema = dict[str, Any]


def reference(kind: type[msgspec.Struct]) -> Schema:
    """Where a struct's schema is."""
    return {"$ref": REF.format(name=kind.__name__)}


def components(kinds: Iterable[type[msgspec.Struct]]) -> dict[str, Schema]:
    """The schemas of structs, and of those within them, by name."""
    _, found = msgspec.json.schema_components(kinds, ref_template=REF)
    return found


def schemas() -> dict[str, Schema]:
    """All that the document refers to, by name."""
    read = [kind for each in OPERATIONS for kind in (each.answer, each.body) if kind is not None]
    found = components([*dict.fromkeys(read), Problem])
    del found[TaskDetails.__name__]["required"]  # the query says which of them are there
    queries = components([each.query for each in OPERATIONS if each.query is not None])
    named = {each["title"]: each for each in _with_titles([found, queries])}
    _show_examples(found)
    for schema in found.values():
        schema["properties"] = {name: _field(each) for name, each in schema["properties"].items()}
    return found | {name: _alone(each) for name, each in sorted(named.items())}


def shared(schema: Schema) -> Schema:
    """The same, with references in the place of what is told once."""
    if "title" in schema:
        around = {name: value for name, value in schema.items() if name in ("description", "default", "examples")}
        return {"allOf": [_bare(schema)], **around}
    changed = dict(schema)
    if "items" in changed:
        changed["items"] = _bare(changed["items"])
    if "anyOf" in changed:
        changed["anyOf"] = [_bare(each) for each in changed["anyOf"]]
    if "$ref" in changed and len(changed) > 1:  # many readers take a reference for all that is said
        changed["allOf"] = [{"$ref": changed.pop("$ref")}]
    return changed


def _bare(schema: Schema) -> Schema:
    return {"$ref": REF.format(name=schema["title"])} if "title" in schema else schema


def _alone(schema: Schema) -> Schema:
    """As it stands where it is told, whatever the field says about it that it was found at."""
    return {name: value for name, value in schema.items() if name not in ("default", "examples")}


def _field(schema: Schema) -> Schema:
    """A field says what it is at its top, also where it may be null."""
    for each in schema.get("anyOf", ()):
        schema = {name: each[name] for name in ("description", "examples") if name in each} | schema
    return shared(schema)


def _with_titles(node: Any) -> Iterator[Schema]:
    """What has a name of its own and is no struct: those are told once as it is."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str) and "properties" not in node:
            yield node
        for value in node.values():
            yield from _with_titles(value)
    if isinstance(node, list):
        for value in node:
            yield from _with_titles(value)


def _show_examples(found: dict[str, Schema]) -> None:
    """At each property what the examples have there: rather a value than null."""
    known = {kind.__name__: list(bodies.values()) for kind, bodies in BODIES.items()}
    known |= {name: [answer] for name, answer in ANSWERS.items()}
    for name, examples in known.items():
        for field, schema in found[name].get("properties", {}).items():
            values = [example[field] for example in examples if example.get(field) is not None]
            if values:
                schema.setdefault("examples", values[:1])
