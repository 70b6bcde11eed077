"""SHELL. `make bench BENCH=peers`: the same work for Tocsin and for what people use instead."""

from collections.abc import Callable, Collection, Mapping
from functools import partial

from bench import figures, parts, sink
from bench.peers import compared, installed, limits, race
from bench.peers.compared import OWN
from bench.peers.contender import Contender
from bench.peers.known import PEERS
from bench.peers.peer import Peer
from bench.peers.runs import Runner
from bench.peers.tocsin import SETTINGS as OWN_SETTINGS
from bench.peers.tocsin import Tocsin
from bench.sink_stage import SETTINGS as STAGE_SETTINGS
from bench.sink_stage import SinkStage
from tocsin_local.report import Row
from tocsin_local.stack import Stack

LIMITS, LARGE = "limits", "_20k"
MAKERS: dict[str, Callable[[SinkStage], Contender]] = {
    OWN: Tocsin,
    **{setup.name: partial(Peer, setup) for setup in PEERS},
}
SETTINGS = {**STAGE_SETTINGS, **OWN_SETTINGS}
QUICK = (LIMITS, *MAKERS)
"""The limits, and each contender in the race."""
SLOW = tuple(f"{name}{LARGE}" for name in MAKERS)
"""The race with bursts of 20,000: SLOW=1."""


async def measure(stack: Stack, env: Mapping[str, str]) -> list[Row]:
    """The rows of all parts that `env` asks for (SLOW=1, ONLY=name,name), and how far Tocsin is ahead."""
    names = parts.wanted(env, QUICK, SLOW)
    quick, large = [name for name in MAKERS if name in names], [name for name in MAKERS if name + LARGE in names]
    for entered in (quick, large):
        compared.refuse(entered, MAKERS, keep=env.get("KEEP") == "1")
    installed.install()
    stage = SinkStage(stack, env)
    await stage.open()
    rows = await race.measure(_runners(stage, quick))
    rows = [*rows, *compared.rows(rows)]
    print("\n".join(figures.table(rows)), flush=True)  # of a run that breaks later so much is known
    rows += await race.measure_large(_runners(stage, large))
    return [*rows, *(await limits.measure(stage) if LIMITS in names else [])]  # last: they leave the broker large


def versions() -> Mapping[str, str]:
    """Of what was measured beside Tocsin."""
    return {**sink.versions(), **installed.versions()}


def contenders() -> Mapping[str, Mapping[str, str]]:
    """How each is set up, by name."""
    return {OWN: Tocsin.described, **{setup.name: setup.described for setup in PEERS}}


def _runners(stage: SinkStage, names: Collection[str]) -> list[Runner]:
    return [Runner(stage, MAKERS[name](stage)) for name in names]
