"""SHELL. How fast one task is shown, by the API and by the least that could do it."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import repeat
from random import Random

import msgspec

from bench import asking, load, schedules
from bench.asking import Asker, Size
from bench.bare import READY
from bench.figures import at_least, row
from bench.load import Target
from bench.recorded import recording
from bench.stage import Stage
from tocsin_common import settings
from tocsin_common.settings import ApiSettings
from tocsin_local import process
from tocsin_local.instance import ROOT
from tocsin_local.report import Row
from tocsin_local.summary import percentile

BARE = "bare"
TASKS = 10_000
CONNECTIONS = 32
RUNS = 5
RUN_S = 5.0
WARM_UP_S = 2.0
READY_TIMEOUT_S = 30.0
SEED = 1


async def measure(stage: Stage) -> list[Row]:
    """In turn, on the same cores: the API, and a bare handler that runs the same statements."""
    await stage.prepare(TASKS, schedules.far_off(1000, datetime.now(UTC)))
    asker = Asker(Random(SEED), Size(TASKS, 0, 0), datetime.now(UTC).date())  # noqa: S311 - no secret
    statements = await _statements(stage, asking.task_alone(asker))
    stage.services.start(["api"])
    port = _start_bare(stage, statements)
    try:
        targets = {
            "api": Target(stage.services.port, (("X-API-KEY", stage.services.api_key),)),
            BARE: Target(port),
        }
        return await _compare(targets, asker)
    finally:
        process.stop(stage.stack.instance.record(BARE))


async def _compare(targets: dict[str, Target], asker: Asker) -> list[Row]:
    for target in targets.values():
        await load.send(target, load.for_seconds(_requests(target, asker), WARM_UP_S), CONNECTIONS)
    runs = [
        {
            name: await load.send(target, load.for_seconds(_requests(target, asker), RUN_S), CONNECTIONS)
            for name, target in targets.items()
        }
        for _ in range(RUNS)
    ]
    rates = {name: [run[name].rate for run in runs] for name in targets}
    shares = [api / bare for api, bare in zip(rates["api"], rates[BARE], strict=True)]
    return [
        row("get_task_share_of_bare", shares, "×", at_least(0.6)),  # noqa: RUF001 - as in the other benches
        row("get_task", rates["api"], "requests/s"),
        row("get_task_p99", [percentile(run["api"].times_ms, 99) for run in runs], "ms"),
        row("get_task_bare", rates[BARE], "requests/s"),
    ]


def _requests(target: Target, asker: Asker) -> Iterator[bytes]:
    return (target.get(asking.task_alone(each)) for each in repeat(asker))


async def _statements(stage: Stage, path: str) -> list[str]:
    async with recording(settings.load(ApiSettings, stage.services.environment())) as recorder:
        return [statement.text for statement in await recorder.statements(path)]


def _start_bare(stage: Stage, statements: list[str]) -> int:
    """On which port it listens."""
    instance = stage.stack.instance
    instance.settle_ports([BARE], same=False)
    env = {
        "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'deploy' / 'local'}",
        "DATABASE_URL": stage.stack.urls.database_url,
        "PORT": str(instance.port(BARE)),
        "STATEMENTS": msgspec.json.encode(statements).decode(),
    }
    log = instance.log(BARE)
    process.spawn(instance.record(BARE), [sys.executable, "-m", "bench.bare"], env, ROOT, log)
    process.wait_ready(BARE, instance.record(BARE), log, lambda: READY in log.read_text(), READY_TIMEOUT_S)
    return instance.port(BARE)
