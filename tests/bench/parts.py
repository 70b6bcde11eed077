"""SHELL. The parts of a bench: which of them are asked for, and one after another."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeVar

from bench import figures
from bench.stage import Stage
from tocsin_local.errors import StackError
from tocsin_local.report import Row

S = TypeVar("S", bound=Stage)
Part = Callable[[S], Awaitable[list[Row]]]


async def measure(
    stage: S, env: Mapping[str, str], quick: Mapping[str, Part[S]], slow: Mapping[str, Part[S]]
) -> list[Row]:
    """The rows of all parts that `env` asks for; what a part has started is stopped after it."""
    names = wanted(env, quick, slow)
    await stage.open()
    rows: list[Row] = []
    for name in names:
        print(f"Measuring {name} …", flush=True)
        try:
            found = await {**quick, **slow}[name](stage)
        finally:
            stage.services.stop()
        print("\n".join(figures.table(found)), flush=True)  # of a run that breaks later so much is known
        rows += found
    return rows


def wanted(env: Mapping[str, str], quick: Collection[str], slow: Collection[str]) -> list[str]:
    """The parts that `ONLY=name,name` names; without it the quick ones, with SLOW=1 the slow ones too."""
    known = [*quick, *slow]
    if only := env.get("ONLY"):
        names = only.split(",")
        _refuse_unknown(names, known)
        return names
    return known if env.get("SLOW") == "1" else list(quick)


def by_bench(env: Mapping[str, str], parts: Mapping[str, Collection[str]]) -> dict[str, str]:
    """The benches that are to run, by name, each with its own `ONLY`: empty where `env` names none."""
    names = [name for name in env.get("ONLY", "").split(",") if name]
    if not names:
        return dict.fromkeys(parts, "")
    _refuse_unknown(names, [name for known in parts.values() for name in known])
    own = {bench: [name for name in names if name in known] for bench, known in parts.items()}
    return {bench: ",".join(some) for bench, some in own.items() if some}


def _refuse_unknown(names: Collection[str], known: Collection[str]) -> None:
    if unknown := set(names) - set(known):
        raise StackError(f"ONLY names {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
