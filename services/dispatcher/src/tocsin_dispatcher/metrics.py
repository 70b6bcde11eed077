"""ADAPTER. What this process counts, and the port where Prometheus fetches it.

| counter | counts |
|---|---|
| `tocsin_executions_emitted_total` | rows that were written for owed executions |
| `tocsin_executions_announced_again_total` | executions that the sweeper announced again |
| `tocsin_executions_missed_total` | tasks whose missed instants got a row, one each time |
| `tocsin_tasks_drifted_total` | tasks that the leader held otherwise than the database had them |
| `tocsin_step_downs_total` | terms that ended before their scheduler did |
| `tocsin_claims_lost_total` | claims that ran out without an outcome, seen when the execution was granted again |
| `tocsin_executions_expired_total` | executions that would have started later than their task allows |
| `tocsin_executions_skipped_total` | executions that came while an earlier one of their task was under way |
| `tocsin_executions_given_up_total` | executions that failed by age or by lost claims |
| `tocsin_answers_invalid_total` | answers 401, 403 or 429 that Discord counts against this address |
| `tocsin_hints_heard_total` | hints of changed tasks that a scheduler heard |

They have no labels: a task is found in the log, and nothing here can hold a secret. They begin at 0 with the
process. Beside them are prometheus_client's own figures of the process: memory, CPU time, open files.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import Counter, disable_created_metrics, make_wsgi_app, start_http_server

from tocsin_common.errors import TocsinError
from tocsin_dispatcher.health import Health

# The instant at which each counter was made says nothing here.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations

EXECUTIONS_EMITTED = Counter("tocsin_executions_emitted_total", "Rows that were written for owed executions")
EXECUTIONS_ANNOUNCED_AGAIN = Counter(
    "tocsin_executions_announced_again_total", "Executions that the sweeper announced again"
)
EXECUTIONS_MISSED = Counter(
    "tocsin_executions_missed_total", "Tasks whose missed instants got a row, one each time"
)
TASKS_DRIFTED = Counter(
    "tocsin_tasks_drifted_total", "Tasks that the leader held otherwise than the database had them"
)
STEP_DOWNS = Counter("tocsin_step_downs_total", "Terms that ended before their scheduler did")
CLAIMS_LOST = Counter(
    "tocsin_claims_lost_total",
    "Claims that ran out without an outcome, seen when the execution was granted again",
)
EXECUTIONS_EXPIRED = Counter(
    "tocsin_executions_expired_total", "Executions that would have started later than their task allows"
)
EXECUTIONS_SKIPPED = Counter(
    "tocsin_executions_skipped_total", "Executions that came while an earlier one of their task was under way"
)
EXECUTIONS_GIVEN_UP = Counter(
    "tocsin_executions_given_up_total", "Executions that failed by age or by lost claims"
)
ANSWERS_INVALID = Counter(
    "tocsin_answers_invalid_total", "Answers 401, 403 or 429 that Discord counts against this address"
)
HINTS_HEARD = Counter("tocsin_hints_heard_total", "Hints of changed tasks that a scheduler heard")

_log = structlog.get_logger(__name__)


class MetricsError(TocsinError):
    """The counters cannot be served where the settings say."""


@contextmanager
def served(host: str, port: int, health: Health | None = None) -> Iterator[None]:
    """Serve all counters, and `health`, on `host` and `port`, from a thread of its own; nowhere if `port` is 0."""
    if port == 0:
        yield
        return
    try:
        server, thread = start_http_server(port, host)
    except OSError as error:
        reason = error.strerror or error
        raise MetricsError(f"cannot listen on METRICS_HOST and METRICS_PORT: {reason}") from error
    if health is not None:
        server.set_app(health.beside(make_wsgi_app()))
    _log.info("metrics.served", host=host, port=port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
