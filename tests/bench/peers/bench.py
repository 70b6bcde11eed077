"""SHELL. `make bench BENCH=peers`: the same work for Tocsin and for what people use instead."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from bench import parts, sink
from bench.parts import Part
from bench.peers import compared, installed, limits, race
from bench.peers.compared import OWN
from bench.peers.contender import Contender
from bench.peers.known import PEERS
from bench.peers.peer import Peer
from bench.peers.tocsin import Tocsin
from bench.sink_stage import SinkStage
from tocsin_local.errors import StackError
from tocsin_local.report import Row
from tocsin_local.stack import Stack

Race = Callable[[SinkStage, Contender], Awaitable[list[Row]]]
MAKERS: dict[str, Callable[[SinkStage], Contender]] = {
    "tocsin": Tocsin,
    **{setup.name: partial(Peer, setup) for setup in PEERS},
}


def _part(name: str, run: Race) -> Part[SinkStage]:
    async def measured(stage: SinkStage) -> list[Row]:
        try:
            return await run(stage, MAKERS[name](stage))
        except StackError as error:
            if name == OWN:
                raise
            print(f"{name} has not done its work, so it has no figures: {error}", flush=True)
            return []

    return measured


QUICK: dict[str, Part[SinkStage]] = {
    "limits": limits.measure,
    **{name: _part(name, race.measure) for name in MAKERS},
}
"""Each contender takes about four minutes."""
SLOW: dict[str, Part[SinkStage]] = {f"{name}_20k": _part(name, race.measure_large) for name in MAKERS}
"""Bursts of 20,000: SLOW=1."""


async def measure(stack: Stack, env: Mapping[str, str]) -> list[Row]:
    """The rows of all parts that `env` asks for (SLOW=1, ONLY=name,name), and how far Tocsin is ahead."""
    installed.install()
    rows = await parts.measure(SinkStage(stack, env), env, QUICK, SLOW)
    return [*rows, *compared.rows(rows)]


def versions() -> Mapping[str, str]:
    """Of what was measured beside Tocsin."""
    return {**sink.versions(), **installed.versions()}
