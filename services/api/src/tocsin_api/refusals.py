"""PURE. What is said of what a client sent and may not: which field, what is allowed there, what was given."""

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import Any, get_args

from msgspec import Meta, Raw

from tocsin_api.errors import CUT, MAX_VIOLATIONS, InvalidInputError, Violation, in_body
from tocsin_common.errors import MAX_ECHO

LONGEST_GUESS = 40  # characters of a name that is looked for among the fields


def not_known(name: str, known: Collection[str]) -> str:
    """What is said of a name that is none of those that are known: with the one that it is near to."""
    by_spelling = {_plain(each): each for each in known}
    near = get_close_matches(_plain(name), by_spelling, n=1) if len(name) <= LONGEST_GUESS else []
    guess = f"near is {by_spelling[near[0]]}; " if near else ""
    return f"is not known; {guess}" + (f"allowed are {', '.join(known)}" if known else "none is allowed here")


def unknown(given: Iterable[str], fields: Collection[str]) -> Iterator[Violation]:
    """Of each name that was given and is no field."""
    for place, name in enumerate(name for name in given if name not in fields):
        # To guess takes a tenth of a millisecond, and a body may hold very many names.
        message = not_known(name, fields) if place < MAX_VIOLATIONS else "is not known"
        pointer = "" if len(name) > MAX_ECHO else f"/{name.replace('~', '~0').replace('/', '~1')}"
        yield Violation(cut(name), message, pointer)


def within(name: str, error: InvalidInputError) -> list[Violation]:
    """What is wrong within a field, as the body has it: `filter.reason`, `executions[3].taskId`."""
    return [
        Violation(
            f"{name}{'' if each.field.startswith('[') else '.'}{each.field}",
            each.message,
            f"/{name.strip('[]')}{each.pointer}",
        )
        for each in in_body(error.violations)
    ]


def allowed(kind: Any) -> str:
    """An annotated type's own description, else the first one within it."""
    parts = get_args(kind)
    own = (part.description for part in parts if isinstance(part, Meta) and part.description)
    return next(own, None) or next(filter(None, map(allowed, parts)), "")


def shown(value: str | Raw) -> str:
    """A value as an error may repeat it."""
    if isinstance(value, str):
        return shown_text(value)
    json = bytes(value).decode()
    kinds = {'"': "a longer text", "{": "an object", "[": "a list"}
    if json[0] in "{[" or len(json) > MAX_ECHO + 2:
        return kinds.get(json[0], "a longer number")
    return json


def shown_text(text: str) -> str:
    """A text, likewise."""
    return repr(text) if len(text) <= MAX_ECHO else "a longer text"


def cut(name: str) -> str:
    """A name: a long one may be a secret."""
    return name if len(name) <= MAX_ECHO else f"{name[:CUT]}…"


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
