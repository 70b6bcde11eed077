"""SHELL. A host that takes POSTs and never answers: what those to healthy hosts feel of it.

Alone, a sender has 2,000 executions for healthy hosts; beside, it has 2,000 more in between for the one that
hangs. They are announced while it is frozen, and times are counted from when it goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from bench import arrivals
from bench.figures import at_most, row
from bench.owing import Bell
from bench.sink_stage import SENDER, TIMEOUT_S, SinkStage
from tocsin_common.messages import Job
from tocsin_local.report import Row
from tocsin_local.summary import percentile

EACH = 2000
WARM_UP = 1000
RUNS = 5
ADDRESS = "127.2.0.1"  # none of the sink's


async def measure(stage: SinkStage) -> list[Row]:
    """The healthy ones' p99, alone and beside, in turn."""
    alone, beside = [], []
    healthy = stage.silent_bells(EACH)
    async with _hanging_host() as url:
        mixed = [bell for each in healthy for bell in (each, each._replace(url=url))]
        for _ in range(RUNS):
            alone.append(await _p99_ms(stage, healthy))
            beside.append(await _p99_ms(stage, mixed))
    slower = [with_it / without for with_it, without in zip(beside, alone, strict=True)]
    return [
        row("healthy_p99_alone", alone, "ms"),
        row("healthy_p99_beside_hanging", beside, "ms"),
        row("healthy_slowed_by_hanging", slower, "x", at_most(1.5)),
    ]


async def _p99_ms(stage: SinkStage, bells: Sequence[Bell]) -> float:
    """Of those that post to the sink, from when the sender goes on. Nobody waits for the others."""
    stage.services.start([SENDER])
    try:
        await _warm_up(stage)
        jobs = await stage.owe(await stage.add(bells))
        origins = set(stage.sink.origins)
        healthy = [job for job in jobs if job.destination in origins]
        let_go_at = await stage.let_go(jobs, [SENDER])
        return percentile(await _waits_ms(stage, healthy, let_go_at), 99)
    finally:
        stage.services.kill(SENDER)  # else it waits for the answers that never come
        stage.services.stop()


async def _warm_up(stage: SinkStage) -> None:
    jobs = await stage.owe(await stage.add(stage.silent_bells(WARM_UP)))
    await stage.announce(jobs)
    await stage.delivered(jobs)


async def _waits_ms(stage: SinkStage, healthy: Sequence[Job], let_go_at: datetime) -> list[float]:
    await stage.sink.reached(len(healthy), timeout_s=TIMEOUT_S)
    arrived = await stage.sink.arrived()
    arrivals.check(arrived, arrivals.instants(healthy))
    return [(arrival.at - let_go_at) / timedelta(milliseconds=1) for arrival in arrived]


@asynccontextmanager
async def _hanging_host() -> AsyncIterator[str]:
    """A URL of a host that connects, reads, and says nothing until its client goes away."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65_536):
                pass
        except ConnectionError:  # its client was killed
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(swallow, ADDRESS, 0)
    async with server:
        yield f"http://{ADDRESS}:{server.sockets[0].getsockname()[1]}/bell"
