"""PURE. Reads bodies and query strings into structs, and names everything that is wrong at once.

A field's `Meta(description=…)` says what is allowed. It stands in the errors and in the OpenAPI document alike.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from msgspec import Meta, Raw

from tocsin_api import refusals
from tocsin_api.errors import (
    InvalidBodyError,
    InvalidInputError,
    InvalidQueryError,
    InvalidValueError,
    UnsupportedMediaTypeError,
    Violation,
    in_body,
)
from tocsin_common.errors import TocsinError

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T", str, Raw)
Checks = Mapping[str, Callable[[Any], Any]]
"""By field, of objects within the body as well: returns the value, perhaps tidied, or raises a TocsinError that
says what is wrong."""

_WHOLE = re.compile(rb"(-?[0-9]+)\.0+")  # 3.0, which is a whole number in JSON, and in other languages

NO_NUL = r"^[^\x00]*$"
"""The pattern of texts that PostgreSQL can hold."""

REFUSED = object()
"""Stands for the value of a field that was given and is refused."""
Rule = Callable[[Mapping[str, Any]], Iterable[Violation]]
"""What must hold between fields: is given the values of those that were sent, REFUSED among them."""


def no_rule(_: Mapping[str, Any]) -> Iterable[Violation]:
    """Each field stands for itself."""
    return ()


def read_body(content_type: str | None, body: bytes, kind: type[S], checks: Checks, rule: Rule = no_rule) -> S:
    """A JSON object as `kind`; raises UnsupportedMediaTypeError, InvalidBodyError or InvalidInputError."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaTypeError("Content-Type must be application/json")
    return _read(_members(body), kind, checks, partial(_decode, checks), rule)


def read_query(query: bytes, kind: type[S], checks: Checks, rule: Rule = no_rule) -> S:
    """A query string as `kind`; raises InvalidQueryError or InvalidInputError."""
    pairs = _pairs(query)
    given = dict(pairs)
    if len(given) < len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = sorted(name for name in times if times[name] > 1)
        raise InvalidInputError([Violation(refusals.cut(name), "must be given once only") for name in twice])
    try:
        return _read(given, kind, checks, _convert, rule)
    except InvalidInputError as error:
        error.violations = [Violation(each.field, each.message) for each in error.violations]
        raise


def _pairs(query: bytes) -> list[tuple[str, str]]:
    """Names and values. Not every client escapes what is not ASCII."""
    try:
        return parse_qsl(query.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidQueryError("the query must be UTF-8") from error


def _convert(text: str, kind: Any) -> Any:
    """A parameter is there or not; `null` is a text as any other, which msgspec would take for None."""
    parts = get_args(kind)
    given = next(part for part in parts if part is not NoneType) if NoneType in parts else kind
    return msgspec.convert(text, given, strict=False)


def read_id(text: str) -> UUID:
    """An id from a path; raises InvalidInputError."""
    try:
        return msgspec.convert(text, UUID)
    except msgspec.ValidationError as error:
        raise InvalidInputError([Violation("id", f"must be a UUID, got {refusals.shown_text(text)}")]) from error


def _members(body: bytes) -> dict[str, Raw]:
    try:
        body.decode()
        return msgspec.json.decode(body, type=dict[str, Raw])
    except UnicodeDecodeError as error:
        raise InvalidBodyError("the body must be UTF-8") from error
    except RecursionError as error:
        raise InvalidBodyError("the body is nested too deeply") from error
    except msgspec.ValidationError as error:
        raise InvalidBodyError("the body must be a JSON object") from error
    except msgspec.DecodeError as error:
        raise InvalidBodyError(f"the body is not valid JSON: {error}") from error


def _read(
    given: Mapping[str, T], kind: type[S], checks: Checks, convert: Callable[[T, Any], Any], rule: Rule = no_rule
) -> S:
    fields = _fields(kind)
    violations = list(refusals.unknown(given, fields))
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in given:
            if field.required:
                violations += in_body([Violation(name, f"is missing; it must be {refusals.allowed(field.type)}")])
            continue
        values[field.name] = REFUSED
        try:
            value = convert(given[name], field.type)
            values[field.name] = checks[field.name](value) if field.name in checks else value
        except msgspec.DecodeError:
            message = f"must be {refusals.allowed(field.type)}, got {refusals.shown(given[name])}"
            violations += in_body([Violation(name, message)])
        except InvalidInputError as error:
            violations += refusals.within(name, error)
        except TocsinError as error:
            violations += in_body([Violation(name, str(error))])
    violations += in_body(rule(values))
    if violations:
        raise InvalidInputError(violations)
    return kind(**values)


@cache
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """By the names that clients know. msgspec takes longer to tell them than a body takes to read."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _decode(checks: Checks, raw: Raw, kind: Any) -> Any:
    """Objects, and lists of them, are read field by field as the body is: each error names its field."""
    found = _object_within(kind)
    if found is None:
        whole = _WHOLE.fullmatch(raw)
        return msgspec.json.decode(whole[1] if whole else raw, type=kind)
    inner, is_list = found
    if not is_list:
        return _read(msgspec.json.decode(raw, type=dict[str, Raw]), inner, checks, partial(_decode, checks))
    items: list[msgspec.Struct] = []
    violations: list[Violation] = []
    given = msgspec.json.decode(raw, type=list[dict[str, Raw]])
    _check_length(len(given), kind)
    for place, members in enumerate(given):
        try:
            items.append(_read(members, inner, checks, partial(_decode, checks)))
        except InvalidInputError as error:
            violations += refusals.within(f"[{place}]", error)
    if violations:
        raise InvalidInputError(violations)
    return items


def _check_length(length: int, kind: Any) -> None:
    """Before what is in a list is read: to read all that a body can hold would keep other requests waiting."""
    limits = next(_limits_within(kind), None)
    if limits is None or limits.max_length is None:
        return
    least, most = limits.min_length or 0, limits.max_length
    if not least <= length <= most:
        raise InvalidValueError(f"has {length} entries, {least} to {most} are allowed")


def _limits_within(kind: Any) -> Iterator[Meta]:
    """What a list's type says of its length."""
    for part in get_args(kind):
        if isinstance(part, Meta) and part.max_length is not None:
            yield part
        yield from _limits_within(part)


def _object_within(kind: Any) -> tuple[type[msgspec.Struct], bool] | None:
    """The struct that a type is made of, and whether in a list; None where there is none."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind, False
    found = next(filter(None, map(_object_within, get_args(kind))), None)
    return (found[0], True) if found and get_origin(kind) is list else found
