"""SHELL. `make bench BENCH=growth`: what more tasks, more senders and more logs change."""

from collections.abc import Mapping
from functools import partial

from bench import drain, many_logs, many_tasks, parts
from bench.parts import Part
from bench.sink_stage import SinkStage
from tocsin_local.report import Row
from tocsin_local.stack import Stack

QUICK: dict[str, Part[SinkStage]] = {
    **{f"tasks_{name}": partial(many_tasks.measure, name) for name in many_tasks.SIZES},
    "senders": drain.measure,
    **{f"logs_{name}": partial(many_logs.measure, name) for name in many_logs.SIZES if name != many_logs.LARGEST},
}
"""Each takes a minute or two."""
SLOW: dict[str, Part[SinkStage]] = {f"logs_{many_logs.LARGEST}": partial(many_logs.measure, many_logs.LARGEST)}
"""It takes some four minutes to fill the tables: SLOW=1."""


async def measure(stack: Stack, env: Mapping[str, str]) -> list[Row]:
    """The rows of all parts that `env` asks for (SLOW=1, ONLY=name,name)."""
    return await parts.measure(SinkStage(stack, env), env, QUICK, SLOW)
