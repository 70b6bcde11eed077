"""SHELL. `make bench BENCH=scheduler`: the figures that the scheduler is held to, one after another."""

from collections.abc import Mapping

from bench import burst, changes, holding, parts, steady, takeover
from bench.parts import Part
from bench.stage import Stage
from tocsin_local.report import Row
from tocsin_local.stack import Stack

# No sender runs, so nothing is ever taken; what a sender that keeps up would have taken is not announced again.
SETTINGS = {"SWEEP_PATIENCE_S": "3600"}

QUICK: dict[str, Part[Stage]] = {
    "takeover": takeover.measure,
    "burst": burst.measure,
    "changes": changes.measure,
}
"""A run of each takes less than a minute."""
SLOW: dict[str, Part[Stage]] = {
    "steady": steady.measure,
    "million": holding.measure_million,
    "hourly": holding.measure_hourly,
}
"""Each takes minutes: SLOW=1."""


async def measure(stack: Stack, env: Mapping[str, str]) -> list[Row]:
    """The rows of all parts that `env` asks for (SLOW=1, ONLY=name,name)."""
    return await parts.measure(Stage(stack, env, SETTINGS), env, QUICK, SLOW)
