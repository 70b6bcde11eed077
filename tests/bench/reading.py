"""SHELL. How fast one task is shown, by the API and by the least that could do it."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import repeat
from random import Random
from typing import NamedTuple

import msgspec

from bench import asking, load, schedules, usage
from bench.asking import Asker, Size
from bench.bare import READY
from bench.figures import at_least, row
from bench.load import Answered, Target
from bench.recorded import recording
from bench.stage import Stage
from tocsin_common import settings_reader
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


class Server(NamedTuple):
    """What answers."""

    target: Target
    pid: int


class Run(NamedTuple):
    """One load of a server."""

    answered: Answered
    cpu_ms: float
    """The server's processor time for one answer; PostgreSQL's is the same for both."""


async def measure(stage: Stage) -> list[Row]:
    """In turn, on the same cores: the API, and a bare handler that runs the same statements."""
    await stage.prepare(TASKS, schedules.far_off(1000, datetime.now(UTC)))
    asker = Asker(Random(SEED), Size(TASKS, 0, 0), datetime.now(UTC).date())  # noqa: S311 - no secret
    statements = await _statements(stage, asking.task_alone(asker))
    stage.services.start(["api"])
    record = stage.stack.instance.record(BARE)
    try:
        bare = Target(_start_bare(stage, statements))
        api = Target(stage.services.port, (("X-API-KEY", stage.services.api_key),))
        return await _compare(Server(api, stage.pid("api")), Server(bare, process.pid(record) or 0), asker)
    finally:
        process.stop(record)


async def _compare(api: Server, bare: Server, asker: Asker) -> list[Row]:
    for server in (api, bare):
        await _run(server, asker, WARM_UP_S)
    runs = [(await _run(api, asker, RUN_S), await _run(bare, asker, RUN_S)) for _ in range(RUNS)]
    shares = [ours.answered.rate / least.answered.rate for ours, least in runs]
    ours, least = zip(*runs, strict=True)
    return [
        row("get_task_share_of_bare", shares, "×", at_least(0.6)),  # noqa: RUF001 - as in the other benches
        row("get_task", [run.answered.rate for run in ours], "requests/s"),
        row("get_task_p99", [percentile(run.answered.times_ms, 99) for run in ours], "ms"),
        row("get_task_cpu", [run.cpu_ms for run in ours], "ms"),
        row("get_task_bare", [run.answered.rate for run in least], "requests/s"),
        row("get_task_bare_cpu", [run.cpu_ms for run in least], "ms"),
    ]


async def _run(server: Server, asker: Asker, seconds: float) -> Run:
    before_s = usage.cpu_s(server.pid)
    answered = await load.send(
        server.target, load.for_seconds(_requests(server.target, asker), seconds), CONNECTIONS
    )
    return Run(answered, (usage.cpu_s(server.pid) - before_s) * 1000 / len(answered.times_ms))


def _requests(target: Target, asker: Asker) -> Iterator[bytes]:
    return (target.get(asking.task_alone(each)) for each in repeat(asker))


async def _statements(stage: Stage, path: str) -> list[str]:
    async with recording(settings_reader.load(ApiSettings, stage.services.environment())) as recorder:
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
