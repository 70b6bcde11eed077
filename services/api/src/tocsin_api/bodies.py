"""ADAPTER. How long a body may be: what says itself that it is longer is refused, also where nobody reads it.

What does not say its length is counted as it is read.
"""

from typing import Any

from litestar.connection import ASGIConnection

from tocsin_api.errors import BodyTooLargeError

MAX_BYTES = 1_000_000


def check(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Raises BodyTooLargeError."""
    length = connection.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BYTES:
        raise BodyTooLargeError("the body is larger than 1 MB")
