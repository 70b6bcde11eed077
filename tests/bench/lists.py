"""SHELL. How long lists and the dashboard take with a million tasks and ten million logs, and their plans."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import NamedTuple

import asyncpg

from bench import asking, history, load, usage
from bench.asking import Asker, Size
from bench.figures import Bound, at_most, row
from bench.load import Answered, Target
from bench.plans import read_unchosen
from bench.recorded import recording
from bench.stage import Stage
from tocsin_common import settings_reader
from tocsin_common.settings import ApiSettings
from tocsin_local.errors import StackError
from tocsin_local.report import Row
from tocsin_local.summary import percentile

SIZE = Size(tasks=1_000_000, executions_a_day=104_700, days=90)  # 10 million logs
LARGE = 100_000  # rows of a table or partition that are not read unless an index chose them
RUNS = 3
WARM_UP = 40  # requests: connections and caches
REQUESTS = 200  # a run
STATS_REQUESTS = 20  # a run
STATS = "/api/tasks/dashboard/stats"
PLANNED = 5  # plans of each list are looked at
SEED = 1

ROWS = "SELECT (SELECT count(*) FROM tasks) AS tasks, (SELECT count(*) FROM task_logs) AS logs"


class List(NamedTuple):
    """What is asked for, and how long it may take."""

    name: str
    path: Callable[[], str]
    requests: int
    """A run."""
    bound: Bound


async def measure(stage: Stage) -> list[Row]:
    """One request at a time; StackError where a plan reads much that no index chose."""
    now = datetime.now(UTC)
    async with asyncpg.create_pool(stage.stack.urls.database_url, min_size=1, max_size=1) as pool:
        await history.write(pool, SIZE, now)
        written = await pool.fetchrow(ROWS)
    asker = Asker(Random(SEED), SIZE, now.date())  # noqa: S311 - no secret
    await check_plans(settings_reader.load(ApiSettings, stage.services.environment()), asker, most_rows=LARGE)
    stage.services.start(["api"])
    lists = [List(ask.__name__, partial(ask, asker), REQUESTS, at_most(50)) for ask in asking.LISTS]
    rows = [row("tasks", [written["tasks"]], "rows"), row("logs", [written["logs"]], "rows")]
    for each in (*lists, List("stats", lambda: STATS, STATS_REQUESTS, at_most(250))):
        rows += await _measure(stage, each)
    return rows


async def check_plans(api_settings: ApiSettings, asker: Asker, *, most_rows: float) -> None:
    """StackError where a list reads more rows than that of a table or partition which no index chose."""
    async with recording(api_settings) as recorder:
        for ask in asking.LISTS:
            for path in (ask(asker) for _ in range(PLANNED)):
                for statement in await recorder.statements(path):
                    plan = await recorder.plan(statement)
                    if found := read_unchosen(plan, most_rows=most_rows):
                        raise StackError(f"{path} reads all of {', '.join(found)}: {statement.text}")


async def _measure(stage: Stage, list_: List) -> list[Row]:
    target = Target(stage.services.port, (("X-API-KEY", stage.services.api_key),))

    async def ask(requests: int) -> Answered:
        return await load.send(target, [target.get(list_.path()) for _ in range(requests)])

    await ask(WARM_UP)
    before_s = _cpu_s(stage)
    runs = [await ask(list_.requests) for _ in range(RUNS)]
    cpu_ms = (_cpu_s(stage) - before_s) * 1000 / (RUNS * list_.requests)
    return [
        row(f"{list_.name}_p95", [percentile(run.times_ms, 95) for run in runs], "ms", list_.bound),
        row(f"{list_.name}_p50", [percentile(run.times_ms, 50) for run in runs], "ms"),
        row(f"{list_.name}_cpu", [cpu_ms], "ms"),
    ]


def _cpu_s(stage: Stage) -> float:
    """Of the API and of all PostgreSQL processes."""
    return usage.cpu_s(stage.pid("api")) + usage.tree_cpu_s(stage.stack.pids()["postgres"])
