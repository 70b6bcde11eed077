"""SHELL. What claims and records cost with no logs, with a million, and with ten million of them.

They are the sender's own, without a sender and without POSTs: one batch after another on one connection.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

import asyncpg

from bench import history, usage
from bench.asking import Size
from bench.figures import row
from bench.sink_stage import SinkStage
from tocsin_common import database
from tocsin_common.messages import Job
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.sender.backoff import Backoff
from tocsin_dispatcher.sender.claim import Claims, Grant
from tocsin_dispatcher.sender.outcome import Verdict
from tocsin_dispatcher.sender.post import Attempt
from tocsin_dispatcher.sender.record import Recorder
from tocsin_local.errors import StackError
from tocsin_local.report import Row

TASKS = 100_000
SIZES = {
    "none": Size(TASKS, executions_a_day=0, days=0),
    "1M": Size(TASKS, executions_a_day=10_470, days=90),
    "10M": Size(TASKS, executions_a_day=104_700, days=90),
}
LARGEST = "10M"
EXECUTIONS, WARM_UP = 10_000, 2000
BATCH = 50  # as many as are in a job message
RUNS = 3
TIMEOUT_S, TTL_S = 30.0, 60.0
SUCCESS = Verdict("succeeded", "HTTP 204", 204)


class Cost(NamedTuple):
    """Of 1,000 executions."""

    claim_ms: float
    record_ms: float
    cpu_s: float
    """Of all PostgreSQL processes."""


async def measure(name: str, stage: SinkStage) -> list[Row]:
    """Executions of new tasks, beside all that is there."""
    url = stage.stack.urls.database_url
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        await history.write(pool, SIZES[name], datetime.now(UTC))
    pool = await database.open_pool(url, size=2, name="bench of claims", timeout_s=TIMEOUT_S)
    try:
        await _work_off(stage, pool, WARM_UP, first=TASKS)
        runs = [
            await _work_off(stage, pool, EXECUTIONS, first=TASKS + WARM_UP + n * EXECUTIONS) for n in range(RUNS)
        ]
    finally:
        await database.close_pool(pool)
    return [
        row(f"{name}.logs.claim", [run.claim_ms for run in runs], "ms/1,000"),
        row(f"{name}.logs.record", [run.record_ms for run in runs], "ms/1,000"),
        row(f"{name}.logs.postgres_cpu", [run.cpu_s for run in runs], "s/1,000"),
    ]


async def _work_off(stage: SinkStage, pool: asyncpg.Pool, count: int, *, first: int) -> Cost:
    """`count` executions of tasks from that number on, which are new."""
    jobs = await stage.owe(await stage.add_more(stage.silent_bells(count), first=first))
    postgres = stage.stack.pids()["postgres"]
    recorder = Recorder(pool, Backoff(1, 1, 0), batch=BATCH, delay_s=0)
    recording = asyncio.create_task(recorder.run())
    claims = Claims(pool, DatabaseClock(), sender="bench", ttl_s=TTL_S)
    claim_s = record_s = 0.0
    before_s = usage.tree_cpu_s(postgres)
    try:
        for batch in _batches(jobs):
            begin = time.monotonic()
            grants = (await claims.claim(batch)).grants
            claimed = time.monotonic()
            await _record(recorder, grants)
            claim_s += claimed - begin
            record_s += time.monotonic() - claimed
            if len(grants) != len(batch):
                raise StackError(f"Of {len(batch)} executions {len(grants)} were granted.")
    finally:
        recording.cancel()
    cpu_s = usage.tree_cpu_s(postgres) - before_s
    return Cost(claim_s * 1e6 / count, record_s * 1e6 / count, cpu_s * 1000 / count)


async def _record(recorder: Recorder, grants: Sequence[Grant]) -> None:
    now = datetime.now(UTC)
    done = [recorder.record(grant, Attempt(now, 0.05, SUCCESS, None)) for grant in grants]
    if not all(each.counts for each in await asyncio.gather(*done)):
        raise StackError("An outcome did not count.")


def _batches(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    rest = iter(jobs)
    while batch := list(islice(rest, BATCH)):
        yield batch
