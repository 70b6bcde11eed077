"""ADAPTER. Refuses query parameters where a route reads none: whoever sends one means something by it."""

from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from tocsin_api.inputs import read_query

READS_QUERY = {"reads_query": True}
"""The `opt` of a handler that reads the query itself."""


class _NoQuery(msgspec.Struct):
    """What may stand in a query that nobody reads."""


def check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Raises InvalidInputError. Documents and health are open: probes may add what they like."""
    path = connection.scope["path"]
    if path.startswith("/api/") and not path.startswith("/api/docs") and not handler.opt.get("reads_query"):
        read_query(connection.scope["query_string"], _NoQuery, {})
