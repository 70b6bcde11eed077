"""SHELL. How long lists and the dashboard take with a million tasks and ten million logs, and their plans."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from random import Random

import asyncpg

from bench import asking, history, load
from bench.asking import Asker, Size
from bench.figures import Bound, at_most, row
from bench.load import Target
from bench.plans import read_without_index
from bench.recorded import recording
from bench.stage import Stage
from tocsin_common import settings
from tocsin_common.settings import ApiSettings
from tocsin_local.errors import StackError
from tocsin_local.report import Row
from tocsin_local.summary import percentile

SIZE = Size(tasks=1_000_000, executions_a_day=104_700, days=90)  # 10 million logs
LARGE = 100_000  # rows of a table or partition that are not read without an index
RUNS = 3
WARM_UP = 40  # requests: connections and caches
REQUESTS = 200  # a run
STATS_REQUESTS = 20  # a run
STATS = "/api/tasks/dashboard/stats"
PLANNED = 5  # plans of each list are looked at
SEED = 1

ROWS = "SELECT (SELECT count(*) FROM tasks) AS tasks, (SELECT count(*) FROM task_logs) AS logs"


async def measure(stage: Stage) -> list[Row]:
    """One request at a time; StackError where a plan reads a large partition without an index."""
    now = datetime.now(UTC)
    async with asyncpg.create_pool(stage.stack.urls.database_url, min_size=1, max_size=1) as pool:
        await history.write(pool, SIZE, now)
        written = await pool.fetchrow(ROWS)
    asker = Asker(Random(SEED), SIZE, now.date())  # noqa: S311 - no secret
    await check_plans(settings.load(ApiSettings, stage.services.environment()), asker, most_rows=LARGE)
    stage.services.start(["api"])
    target = Target(stage.services.port, (("X-API-KEY", stage.services.api_key),))
    rows = [row("tasks", [written["tasks"]], "rows"), row("logs", [written["logs"]], "rows")]
    for ask in asking.LISTS:
        rows += await _measure(target, partial(ask, asker), ask.__name__, REQUESTS, at_most(50))
    return [*rows, *await _measure(target, lambda: STATS, "stats", STATS_REQUESTS, at_most(250))]


async def check_plans(api_settings: ApiSettings, asker: Asker, *, most_rows: float) -> None:
    """StackError where a list reads more rows than that of a table or partition without an index."""
    async with recording(api_settings) as recorder:
        for ask in asking.LISTS:
            for path in (ask(asker) for _ in range(PLANNED)):
                for statement in await recorder.statements(path):
                    plan = await recorder.plan(statement)
                    if found := read_without_index(plan, most_rows=most_rows):
                        raise StackError(f"{path} reads {', '.join(found)} without an index: {statement.text}")


async def _measure(target: Target, path: Callable[[], str], name: str, requests: int, bound: Bound) -> list[Row]:
    await load.send(target, [target.get(path()) for _ in range(WARM_UP)])
    runs = [await load.send(target, [target.get(path()) for _ in range(requests)]) for _ in range(RUNS)]
    return [
        row(f"{name}_p95", [percentile(run.times_ms, 95) for run in runs], "ms", bound),
        row(f"{name}_p50", [percentile(run.times_ms, 50) for run in runs], "ms"),
    ]
