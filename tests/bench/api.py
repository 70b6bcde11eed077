"""SHELL. `make bench BENCH=api`: the figures that the API is held to, one after another."""

from collections.abc import Mapping

from bench import creating, lists, parts, reading
from bench.parts import Part
from bench.stage import Stage
from tocsin_local.report import Row
from tocsin_local.stack import Stack

SETTINGS = {"STATS_CACHE_S": "0.000001"}  # what is measured is what it takes to read them

QUICK: dict[str, Part[Stage]] = {
    "reading": reading.measure,
    "creating": creating.measure,
}
"""A run of each takes seconds."""
SLOW: dict[str, Part[Stage]] = {
    "lists": lists.measure,
}
"""It takes minutes to fill the tables: SLOW=1."""


async def measure(stack: Stack, env: Mapping[str, str]) -> list[Row]:
    """The rows of all parts that `env` asks for (SLOW=1, ONLY=name,name)."""
    return await parts.measure(Stage(stack, env, SETTINGS), env, QUICK, SLOW)
