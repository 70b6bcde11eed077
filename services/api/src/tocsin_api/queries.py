"""ADAPTER. Refuses query parameters where a route reads none: whoever sends one means something by it."""

from typing import Any

import msgspec
from litestar import Request

from tocsin_api.inputs import read_query

READS_QUERY = {"reads_query": True}
"""The `opt` of a handler that reads the query itself."""


class _NoQuery(msgspec.Struct):
    """What may stand in a query that nobody reads."""


def check(request: Request[Any, Any, Any]) -> None:
    """Raises InvalidInputError. Documents and health are open: probes may add what they like."""
    path, reads = request.scope["path"], request.scope["route_handler"].opt.get("reads_query")
    if path.startswith("/api/") and not path.startswith("/api/docs") and not reads:
        read_query(request.scope["query_string"], _NoQuery, {})
