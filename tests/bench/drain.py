"""SHELL. 20,000 announced executions on 1,000 destinations: how fast senders drain them, and at what cost."""

from collections.abc import Collection
from typing import NamedTuple

from bench import usage
from bench.figures import at_least, at_most, row
from bench.sink_stage import SECOND_SENDER, SENDER, SinkStage
from tocsin_local.report import Row

EXECUTIONS = 20_000
WARM_UP = 2_000  # executions before the first run: connections, plans and caches
RUNS = 3


class Cost(NamedTuple):
    """The processor's time in seconds, of all processes."""

    senders: float
    postgres: float
    broker: float


class Drain(NamedTuple):
    """One drain."""

    rate: float
    """Executions a second, from the start of the first POST to the record of the last outcome."""
    cost: Cost
    """Of 1,000 executions."""


async def measure(stage: SinkStage) -> list[Row]:
    """Rows of one sender, what it costs, and rows of two."""
    one = await _drains(stage, [SENDER])
    stage.services.stop()
    two = await _drains(stage, [SENDER, SECOND_SENDER])
    unit = "s/1,000"
    return [
        row("drain_one_sender", [round(each.rate) for each in one], "executions/s", at_least(3500)),
        row("drain_two_senders", [round(each.rate) for each in two], "executions/s", at_least(4500)),
        row("cpu_sender", [each.cost.senders for each in one], unit, at_most(0.30)),
        row("cpu_postgres", [each.cost.postgres for each in one], unit, at_most(0.12)),
        row("cpu_broker", [each.cost.broker for each in one], unit, at_most(0.02)),
    ]


async def _drains(stage: SinkStage, senders: Collection[str]) -> list[Drain]:
    stage.services.start(senders)
    await _drain(stage, senders, WARM_UP)
    return [await _drain(stage, senders, EXECUTIONS) for _ in range(RUNS)]


async def _drain(stage: SinkStage, senders: Collection[str], executions: int) -> Drain:
    jobs = await stage.owe(await stage.add(stage.silent_bells(executions)))
    before = _used(stage, senders)
    await stage.let_go(jobs, senders)
    done = await stage.delivered(jobs)
    used = [(after - then) * 1000 / executions for after, then in zip(_used(stage, senders), before, strict=True)]
    return Drain(executions / (done.last_finished_at - done.first_attempt_at).total_seconds(), Cost(*used))


def _used(stage: SinkStage, senders: Collection[str]) -> Cost:
    servers = stage.stack.pids()
    return Cost(
        sum(usage.cpu_s(stage.pid(name)) for name in senders),
        usage.tree_cpu_s(servers["postgres"]),
        usage.cpu_s(servers["rabbitmq"]),
    )
