"""PURE. What a payload may be: the JSON object that is posted, as it was sent."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from tocsin_api.errors import InvalidValueError

MAX_BYTES = 262_144  # fifty jobs of one message are held in memory with their payloads
MAX_DEPTH = 32  # Discord's deepest message has 8

SCHEMA = {"title": "Payload", "type": "object", "minProperties": 1}
Payload = Annotated[
    Raw,
    Meta(
        description=f"a JSON object that is not empty, of at most {MAX_BYTES} bytes "
        f"and {MAX_DEPTH} levels, without NUL characters; for Discord a message within its limits",
        examples=[{"content": "Good morning"}],
        extra_json_schema=SCHEMA,
    ),
]


def check_payload(payload: Raw) -> Raw:
    """The payload itself; raises InvalidValueError."""
    json = bytes(payload)
    if len(json) > MAX_BYTES:
        raise InvalidValueError(f"has {len(json)} bytes, at most {MAX_BYTES} are allowed")
    try:
        value = msgspec.json.decode(json)
    except msgspec.DecodeError as error:
        raise InvalidValueError(f"cannot be read: {error}") from error
    except RecursionError as error:
        raise InvalidValueError(f"is nested deeper than {MAX_DEPTH} levels") from error
    if not isinstance(value, dict) or not value:
        raise InvalidValueError("must be a JSON object that is not empty")
    _check_nesting(value)
    return payload


def _check_nesting(payload: dict[str, Any]) -> None:
    level: list[Any] = [payload]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.keys()
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str) and "\0" in value:
                raise InvalidValueError(r"must not hold NUL characters (\u0000)")
        if not inner:
            return
        level = inner
    raise InvalidValueError(f"is nested deeper than {MAX_DEPTH} levels")
