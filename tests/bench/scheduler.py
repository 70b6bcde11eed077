"""SHELL. `make bench BENCH=scheduler`: the figures that the scheduler is held to, one after another."""

from collections.abc import Awaitable, Callable, Mapping

from bench import burst, changes, holding, steady, takeover
from bench.stage import Stage
from tocsin_local.errors import StackError
from tocsin_local.report import Row

Measurement = Callable[[Stage], Awaitable[list[Row]]]

QUICK: dict[str, Measurement] = {
    "takeover": takeover.measure,
    "burst": burst.measure,
    "changes": changes.measure,
}
"""A run of each takes less than a minute."""
SLOW: dict[str, Measurement] = {
    "steady": steady.measure,
    "million": holding.measure_million,
    "hourly": holding.measure_hourly,
}
"""Each takes minutes: SLOW=1."""


async def measure(stage: Stage, env: Mapping[str, str]) -> list[Row]:
    """The rows of all measurements that `env` asks for (SLOW=1, ONLY=name,name)."""
    names = _wanted(env)
    await _lead_once(stage)
    rows: list[Row] = []
    for name in names:
        print(f"Measuring {name} …", flush=True)
        try:
            rows += await (QUICK | SLOW)[name](stage)
        finally:
            stage.services.stop()
    return rows


async def _lead_once(stage: Stage) -> None:
    """A first leader notes in the lease to which database it belongs, and makes queues and partitions."""
    await stage.lead()
    stage.services.stop()


def _wanted(env: Mapping[str, str]) -> list[str]:
    known = QUICK | SLOW
    if only := env.get("ONLY"):
        names = only.split(",")
        if unknown := set(names) - known.keys():
            raise StackError(f"ONLY names {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
        return names
    return list(known if env.get("SLOW") == "1" else QUICK)
