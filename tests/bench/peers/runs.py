"""SHELL. One contender's runs: its work is given and awaited, without a kill and with one."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import NamedTuple
from uuid import UUID

from bench import usage
from bench.peers import work
from bench.peers.contender import Contender
from bench.peers.work import Offsets, Post, Speed, Survived
from bench.sink_stage import SinkStage
from tocsin_local.errors import StackError

AHEAD_S = 2  # from when all is given to the first instant, where giving takes as long as the last time
MARGIN = 1.2  # times that, for a machine is not always as fast
FIRST_PACE_S = 0.0015  # for a POST, until it is known
GIVES = 4  # tries
TIMEOUT_S = 300.0
KILL_AT = 0.4  # of all have arrived; then the sink's log is a moment behind
IN_THE_MIDDLE = (0.3, 0.8)  # of all had arrived at the kill, else it is another run's
KILLS = 3  # tries
QUIET_S = 6.0  # nothing arrived for so long: the broker's own counts are of every 5 s
PATIENCE_S = 75.0  # of silence, where the contender says that it has work: BullMQ takes it up after a minute
POLL_S, ASK_S = 0.25, 2.0


class Run(NamedTuple):
    """What was owed, and all of it posted once. Times and memory of processes with all that descend from them."""

    speed: Speed
    cpu_s: float
    """Of the contender's own processes, for 1,000 POSTs, from the first instant on."""
    server_cpu_s: float
    """Of its servers."""
    memory_mb: float
    """Of its own processes, at the end."""
    server_memory_mb: float
    """Of its servers."""


def takes_s(count: int, took_s: Mapping[int, float]) -> float:
    """How long it should take to give `count` POSTs, by how long it took to give so many, or another number."""
    slowest_s = max((each_s / known for known, each_s in took_s.items()), default=FIRST_PACE_S)
    return took_s.get(count, slowest_s * count)


class Runner:
    """One contender, and how long it takes to give it work."""

    def __init__(self, stage: SinkStage, contender: Contender) -> None:
        """Nothing happens yet."""
        self.contender = contender
        self.origins = stage.sink.origins
        self._sink = stage.sink
        self._took_s: dict[int, float] = {}
        """To give so many POSTs, the last time."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With its processes, which are stopped in the end."""
        try:
            await self.contender.start()
            yield
        finally:
            await self.contender.stop()

    async def run(self, offsets: Offsets) -> Run:
        """All of it, each once; StackError where that is not so."""
        owed = await self._give(offsets)
        before = self._used_s()
        await self._sink.reached(len(owed), timeout_s=TIMEOUT_S)
        await self.contender.settled()
        used = zip(self._used_s(), before, strict=True)
        own_s, servers_s = ((after - then) * 1000 / len(owed) for after, then in used)
        memory_mb = [sum(map(usage.tree_memory_mb, pids)) for pids in self._pids()]
        return Run(work.speed(await self._sink.arrived(), owed), own_s, servers_s, *memory_mb)

    async def killed(self, offsets: Offsets) -> Survived:
        """Killed in the middle, and started again at once; where that came too late, once more."""
        for _ in range(KILLS):
            found = await self._killed(offsets)
            if IN_THE_MIDDLE[0] <= found.share <= IN_THE_MIDDLE[1]:
                return found
            print(f"{self.contender.name} was killed at {found.share:.0%}, so once more.", flush=True)
        raise StackError(f"{self.contender.name} cannot be killed in the middle.")

    async def _killed(self, offsets: Offsets) -> Survived:
        owed = await self._give(offsets)
        await self._sink.reached(int(KILL_AT * len(owed)), timeout_s=TIMEOUT_S)
        killed_at = datetime.now(UTC)
        self.contender.kill()
        self.contender.restart()
        await self.contender.ready()
        await self._over()
        return work.survived(await self._sink.arrived(), owed, killed_at)

    async def _give(self, offsets: Offsets) -> Mapping[UUID, datetime]:
        """Return at the first instant; where that came before all was given, let it pass and give again."""
        loop, count = asyncio.get_running_loop(), len(offsets)
        for _ in range(GIVES):
            ahead_s = AHEAD_S + ceil(MARGIN * takes_s(count, self._took_s))
            first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=ahead_s)
            begin = loop.time()
            owed = await self.contender.give([Post(url, first + offset) for url, offset in offsets])
            self._took_s[count] = loop.time() - begin
            left_s = (first - datetime.now(UTC)).total_seconds()
            if left_s >= 0:
                await asyncio.sleep(left_s)
                return owed
            await self._sink.reached(len(owed), timeout_s=TIMEOUT_S)
            await self.contender.settled()
        raise StackError(f"{self.contender.name} cannot be given {len(offsets)} POSTs within {ahead_s} s.")

    async def _over(self) -> None:
        """Return once nothing arrives any more, and the contender has nothing left to do or no more patience."""
        loop = asyncio.get_running_loop()
        known, grown_at = 0, loop.time()
        while (silent_s := loop.time() - grown_at) < PATIENCE_S:
            if (found := self._sink.count()) > known:
                known, grown_at = found, loop.time()
            elif silent_s >= QUIET_S and await self.contender.left() == 0:
                return
            await asyncio.sleep(ASK_S if silent_s >= QUIET_S else POLL_S)

    def _pids(self) -> tuple[Collection[int], Collection[int]]:
        return self.contender.pids(), self.contender.server_pids()

    def _used_s(self) -> list[float]:
        return [sum(map(usage.tree_cpu_s, pids)) for pids in self._pids()]
