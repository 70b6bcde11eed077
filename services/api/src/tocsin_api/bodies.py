"""ADAPTER. How long a body may be: what says itself that it is longer is refused, also where nobody reads it.

What does not say its length is counted as it is read.
"""

from typing import Any

from litestar import Request

from tocsin_api.errors import BodyTooLargeError

MAX_BYTES = 1_000_000
NAME = b"content-length"


def check(request: Request[Any, Any, Any]) -> None:
    """Raises BodyTooLargeError."""
    # Not by Litestar's headers: to make them of the scope's takes longer than all that is checked of a request.
    length = next((value for name, value in request.scope["headers"] if name.lower() == NAME), b"")
    if length.isdigit() and int(length) > MAX_BYTES:
        raise BodyTooLargeError("the body is larger than 1 MB")
