"""ADAPTER. Looks now and then how many executions are open, for the metrics of the process that leads."""

import asyncio

import asyncpg
import structlog

from tocsin_common.database import CONNECTION_ERRORS
from tocsin_dispatcher import metrics
from tocsin_dispatcher.scheduler import sample_sql

OPEN_STATES = ("due", "waiting", "running")
MOST_COUNTED = 10_000
TIMEOUT_S = 5.0

_log = structlog.get_logger(__name__)


class Sampler:
    """Samples while this process leads."""

    def __init__(self, pool: asyncpg.Pool, *, interval_s: float) -> None:
        self._pool = pool
        self._interval_s = interval_s

    async def run(self) -> None:
        """Sample at every interval; nothing is shown any more once this process leads no more."""
        try:
            while True:
                await self._try()
                await asyncio.sleep(self._interval_s)
        finally:
            forget()

    async def sample(self) -> None:
        """Show what is so now."""
        rows = {row["state"]: row for row in await self._pool.fetch(sample_sql.OPEN_EXECUTIONS, MOST_COUNTED)}
        stored = await self._pool.fetchval(sample_sql.STORED_EXECUTIONS)
        for state in OPEN_STATES:
            row = rows.get(state, {"executions": 0, "age_s": 0.0, "overdue_s": 0.0})
            metrics.EXECUTIONS_OPEN.labels(state).set(row["executions"])
            metrics.EXECUTIONS_OLDEST_AGE.labels(state).set(max(0.0, row["age_s"]))
            metrics.EXECUTIONS_OVERDUE.labels(state).set(max(0.0, row["overdue_s"]))
        metrics.EXECUTIONS_STORED.set(stored)

    async def _try(self) -> None:
        """Nobody stops leading for want of a metric: what could not be sampled is not shown."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self.sample()
        except (asyncpg.PostgresError, *CONNECTION_ERRORS) as error:
            forget()
            _log.warning("sample.failed", error=repr(error))


def forget() -> None:
    """Show nothing of all this any more."""
    for gauge in (metrics.EXECUTIONS_OPEN, metrics.EXECUTIONS_OLDEST_AGE, metrics.EXECUTIONS_OVERDUE):
        gauge.clear()
    metrics.EXECUTIONS_STORED.set(float("nan"))
