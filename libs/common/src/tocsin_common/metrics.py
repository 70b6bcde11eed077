"""ADAPTER. What a process shows Prometheus, and the port where that is fetched.

Each service defines its own metrics in a module named `metrics`; docs/architecture.md lists all of them, and a
test compares. Labels are few and their values known beforehand: no URL, destination, task or key gets into one.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from wsgiref.types import WSGIApplication

import asyncpg
import structlog
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Gauge,
    disable_created_metrics,
    make_wsgi_app,
    start_http_server,
)
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from tocsin_common.errors import TocsinError

# The instant at which each counter was made says nothing here.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations

LATENCIES_S = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
)  # fmt: skip
"""Upper bounds of buckets: from what one statement takes to an outage that is caught up with."""

DATABASE_CONNECTIONS = Gauge(
    "tocsin_database_connections", "Connections to PostgreSQL of this process, busy and idle", ["state"]
)
DATABASE_CONNECTIONS_MAX = Gauge(
    "tocsin_database_connections_max", "Connections to PostgreSQL that this process may have"
)

_log = structlog.get_logger(__name__)


class MetricsError(TocsinError):
    """The metrics cannot be served where the settings say."""


class Histogram(Collector):
    """Counts durations by bucket; prometheus_client's own counts one at a time, and takes several times as long.

    Written by one thread, the event loop's; read by the one that serves the metrics.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._counts: dict[tuple[str, ...], list[int]] = {} if labels else {(): _no_counts()}
        self._sums: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}
        registry.register(self)

    def observe(self, seconds: float, *labels: str, times: int = 1) -> None:
        """Count a duration, `times` times."""
        counts = self._counts.get(labels)
        if counts is None:
            self._sums[labels] = 0.0  # first: the other thread goes by the counts
            counts = self._counts[labels] = _no_counts()
        counts[bisect_left(LATENCIES_S, seconds)] += times
        self._sums[labels] += seconds * times

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """The name, for the registry: no other metric may have it."""
        return [HistogramMetricFamily(self._name, self._documentation, labels=self._labels)]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """All buckets, as Prometheus wants them: each holds what the smaller ones hold too."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for labels, counts in list(self._counts.items()):
            family.add_metric(labels, list(_cumulative(counts)), self._sums[labels])
        return [family]


class Beside(Protocol):
    """What answers some requests on the port, and leaves the others to the metrics."""

    def beside(self, app: WSGIApplication) -> WSGIApplication: ...


def watch_pool(pool: asyncpg.Pool) -> None:
    """Show from now on how many connections of `pool` are in use."""
    DATABASE_CONNECTIONS.labels("busy").set_function(lambda: pool.get_size() - pool.get_idle_size())
    DATABASE_CONNECTIONS.labels("idle").set_function(pool.get_idle_size)
    DATABASE_CONNECTIONS_MAX.set(pool.get_max_size())


@contextmanager
def served(host: str, port: int, beside: Beside | None = None) -> Iterator[None]:
    """Serve all metrics on `host` and `port`, from a thread of its own; on no port where that is 0."""
    if port == 0:
        yield
        return
    try:
        server, thread = start_http_server(port, host)
    except OSError as error:
        reason = error.strerror or error
        raise MetricsError(f"cannot listen on METRICS_HOST and METRICS_PORT: {reason}") from error
    if beside is not None:
        server.set_app(beside.beside(make_wsgi_app()))
    _log.info("metrics.served", host=host, port=port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _no_counts() -> list[int]:
    return [0] * (len(LATENCIES_S) + 1)


def _cumulative(counts: Iterable[int]) -> Iterator[tuple[str, Any]]:
    total = 0
    bounds = [*map(str, LATENCIES_S), "+Inf"]
    for bound, count in zip(bounds, list(counts), strict=True):
        total += count
        yield bound, total
