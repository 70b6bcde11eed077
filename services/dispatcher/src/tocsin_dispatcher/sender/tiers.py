"""ADAPTER. Where an execution waits: in a retry tier of the broker, or in memory for moments or without a broker.

The row holds the time; what waits here is only what brings the execution back.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from tocsin_common import failpoints, topology
from tocsin_common.messages import Job, pack
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.sender.inbox import Delivery, Inbox

MARGIN_S = 0.001  # timers may fire a little early, and an early claim is refused


class Waits:
    """Parks jobs until their time comes."""

    def __init__(self, inbox: Inbox, publisher: Publisher, *, most_in_memory: int, briefly_s: float) -> None:
        """`briefly_s`: a job that came back from a tier early waits out less than this in memory."""
        self._inbox = inbox
        self._publisher = publisher
        self._most = most_in_memory
        self._briefly_s = briefly_s
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
            unconfirmed = await self._publisher.publish_all(pack(jobs), topology.tier_queue(tier))
            left = {job for message in unconfirmed for job in message.jobs}
            self._forget(timers[job] for job in jobs if job in timers and job not in left)
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
        await self._publisher.publish_all(pack(jobs), topology.tier_queue(topology.TIERS_S[0]))

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
