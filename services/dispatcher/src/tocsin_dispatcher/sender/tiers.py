"""ADAPTER. Where an execution waits: in a retry tier of the broker, or in memory for moments or without a broker.

The row holds the time; what waits here is only what brings the execution back.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

import structlog

from tocsin_common import failpoints, topology
from tocsin_common.messages import Job, pack
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.sender.inbox import Delivery, Inbox

MARGIN_S = 0.001  # timers may fire a little early, and an early claim is refused
HAND_OVER_S = 10

_log = structlog.get_logger(__name__)


class Waits:
    """Parks jobs until their time comes."""

    def __init__(
        self, inbox: Inbox, publisher: Publisher, *, most_in_memory: int, briefly_s: float, at_once: int
    ) -> None:
        """`briefly_s`: a job that came back from a tier early waits out less than this in memory.

        `at_once`: so many are put into tiers at a time, or what came with one of them.
        """
        self._inbox = inbox
        self._publisher = publisher
        self._most = most_in_memory
        self._briefly_s = briefly_s
        self._line = asyncio.Semaphore(at_once)
        self._timers: dict[asyncio.TimerHandle, Job] = {}

    async def hold(self, waiting: Iterable[tuple[Job, float]], *, came_back: bool = False) -> None:
        """Bring each job back after its seconds. `came_back`: it was in a tier and is not due yet.

        Until RabbitMQ has confirmed that it is in a tier it waits in memory too, where there is room: while
        RabbitMQ is away it comes back in time all the same.
        """
        by_tier: dict[int, list[Job]] = defaultdict(list)
        timers: dict[Job, asyncio.TimerHandle] = {}
        for job, wait_s in waiting:
            tier = topology.tier_for(wait_s)
            briefly = tier is None or (came_back and wait_s < self._briefly_s)
            has_room = len(self._timers) < self._most
            if has_room:
                timers[job] = self._hold_in_memory(job, wait_s)
            if not (briefly and has_room):
                by_tier[tier or topology.TIERS_S[0]].append(job)
        for tier, jobs in by_tier.items():
            async with self._line:
                # While RabbitMQ confirms nothing the line is long: who has come back by now is not to wait there.
                still = [job for job in jobs if job not in timers or timers[job] in self._timers]
                unconfirmed = await self._publisher.publish_all(pack(still), topology.tier_queue(tier))
            left = {job for message in unconfirmed for job in message.jobs}
            self._forget(timers[job] for job in still if job in timers and job not in left)
            failpoints.reach("sender.in_tier")

    def in_memory(self) -> int:
        """How many wait here, in memory."""
        return len(self._timers)

    async def hand_over(self, others: Iterable[Job] = ()) -> None:
        """At shutdown: give what waits in memory or came back to a closed inbox, and `others`, to a tier."""
        jobs = [*self._timers.values(), *self._inbox.take_waited(), *others]
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        try:
            async with asyncio.timeout(HAND_OVER_S):
                await self._publisher.publish_all(pack(jobs), topology.tier_queue(topology.TIERS_S[0]))
        except TimeoutError:
            _log.warning("waits.left_to_the_sweeper", executions=len(jobs))

    def _hold_in_memory(self, job: Job, wait_s: float) -> asyncio.TimerHandle:
        def bring_back() -> None:
            del self._timers[timer]
            self._inbox.put(Delivery([job], None))

        timer = asyncio.get_running_loop().call_later(max(0.0, wait_s) + MARGIN_S, bring_back)
        self._timers[timer] = job
        return timer

    def _forget(self, timers: Iterable[asyncio.TimerHandle]) -> None:
        for timer in timers:
            timer.cancel()
            self._timers.pop(timer, None)
