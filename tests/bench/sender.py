"""SHELL. `make bench BENCH=sender`: the figures that the sender is held to, one after another."""

from collections.abc import Mapping

from bench import backlog, drain, hanging, kills, limited, parts, punctual
from bench.parts import Part
from bench.sink_stage import SinkStage
from tocsin_local.report import Row
from tocsin_local.stack import Stack

QUICK: dict[str, Part[SinkStage]] = {
    "drain": drain.measure,
    "burst": punctual.measure_burst,
    "hanging": hanging.measure,
    "memory": backlog.measure,
}
"""A run of each takes less than a minute."""
SLOW: dict[str, Part[SinkStage]] = {
    "steady": punctual.measure_steady,
    "limited": limited.measure,
    "kills": kills.measure,
}
"""Each takes minutes: SLOW=1."""


async def measure(stack: Stack, env: Mapping[str, str]) -> list[Row]:
    """The rows of all parts that `env` asks for (SLOW=1, ONLY=name,name)."""
    return await parts.measure(SinkStage(stack, env), env, QUICK, SLOW)
