"""ADAPTER. What the API counts; docs/architecture.md lists all of it."""

from prometheus_client import Counter

from tocsin_common.metrics import Histogram

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""Of requests that are counted under their own method; a client may send any word as one."""

REQUEST_DURATION = Histogram(
    "tocsin_api_request_duration_seconds",
    "From a request to the end of its answer, by method, route and class of the status",
    ["method", "route", "status"],
)
HINTS_LOST = Counter(
    "tocsin_api_hints_lost_total", "Hints of changed tasks, and announcements of jobs, that RabbitMQ did not take"
)


def count_request(method: str, route: str, status: int, duration_s: float) -> None:
    """Count a request that has ended; `route` is the path's template."""
    REQUEST_DURATION.observe(duration_s, method if method in METHODS else "other", route, f"{status // 100}xx")
