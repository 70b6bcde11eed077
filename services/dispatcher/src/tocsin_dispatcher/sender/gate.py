"""SHELL. What comes before a POST: room in this sender, at the destination and at this address; then the claim."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import structlog

from tocsin_common.messages import MAX_JOBS, Job
from tocsin_common.webhook import is_at_discord
from tocsin_dispatcher.sender.claim import Claims, Grant
from tocsin_dispatcher.sender.crowd import Crowd
from tocsin_dispatcher.sender.destinations import Destinations
from tocsin_dispatcher.sender.egress import Egress
from tocsin_dispatcher.sender.post import Attempt
from tocsin_dispatcher.sender.slots import Slots
from tocsin_dispatcher.sender.turns import Wait

OVERFLOW = Wait(8.0, is_turn=None)
"""Of those that are too many to wait in memory for room in this sender: thousands are before them."""

_log = structlog.get_logger(__name__)


class Passed(NamedTuple):
    """What became of the jobs that came to the gate; those that are in none of these are done with."""

    grants: Sequence[Grant] = ()
    waits: Sequence[tuple[Job, float]] = ()
    """Their rows were put off; with the seconds until their time."""
    not_due: Sequence[tuple[Job, float]] = ()
    moved: Sequence[Job] = ()
    """Their tasks have another webhook now: they are to come again, with its destination."""


class _Asked(NamedTuple):
    """What jobs were told that came for room."""

    free: list[Job]
    """They need none at their destinations."""
    admitted: list[Job]
    waits: dict[Job, Wait]
    not_ready: list[Job]
    """Not due when they asked. By the time of the claim they might be, and would pass without having asked."""


class Gate:
    """Of one sender."""

    def __init__(
        self,
        slots: Slots,
        crowd: Crowd,
        destinations: Destinations,
        egress: Egress,
        claims: Claims,
    ) -> None:
        self._slots = slots
        self._crowd = crowd
        self._destinations = destinations
        self._egress = egress
        self._claims = claims

    async def admit(self, jobs: Collection[Job]) -> Passed:
        """Claim those that may be posted now; waits for POST slots. Each grant is to `leave` and to `finish`."""
        begin, wait_here, too_many = self._crowd.split(jobs)
        await self._slots.take(len(begin))
        passed = Passed()
        try:
            passed = await self._pass(begin, too_many)
        finally:
            granted = {grant.job.key for grant in passed.grants}
            refused = [job for job in begin if job.key not in granted]
            self._slots.give(len(refused))
            await self._turn_away(refused)
        self._crowd.hold(wait_here)  # nothing can fail any more: else their messages would bring them again
        return passed

    async def leave(self, grant: Grant) -> None:
        """Its POST has ended, or was not begun."""
        await self._turn_away([grant.job])

    def finish(self, _grant: Grant) -> None:
        """Its outcome is recorded, or lost: what has to be kept of outcomes is bounded by the POST slots."""
        self._slots.give(1)

    async def give_back(self, grant: Grant, wait_s: float) -> None:
        """Nothing was posted under it: its execution may be claimed again after `wait_s`. Spends no retry."""
        await self._claims.give_back([grant], wait_s)

    def refusals(self, destination: str) -> int:
        """How many times in a row a POST there was refused without a word about how long."""
        here = self._destinations.refusals(destination)
        return max(here, self._egress.refusals) if is_at_discord(destination) else here

    async def learn(self, job: Job, attempt: Attempt) -> None:
        """Tell all senders what an attempt shows. Where that fails, the receiver will show it again."""
        try:
            await self._destinations.learn(job, attempt)
            if is_at_discord(job.destination):
                await self._egress.learn(attempt)
        except Exception as error:  # whatever a stranger says must not stand in the way of the outcome
            # Only the kind: an error's text may hold what the receiver said.
            _log.warning("limit.not_shared", destination=job.destination, kind=type(error).__name__)

    async def _pass(self, begin: list[Job], too_many: list[Job]) -> Passed:
        asked = await self._ask(begin)
        # Those that wait here for destinations that have no room anyway: many at a time, not one by one.
        behind = self._crowd.take_out({job.destination for job in asked.waits}, MAX_JOBS)
        waits = dict.fromkeys(too_many, OVERFLOW) | asked.waits
        try:
            waits |= await self._ask_in_passing(behind)
            postponed = await self._claims.postpone(waits)
        except BaseException:
            self._crowd.hold(behind)  # no message would bring them again
            raise
        self._crowd.hold([job for job in behind if job not in waits])
        not_due = await self._claims.classify(asked.not_ready)
        for job in asked.free:
            self._destinations.enter(job.destination)
        claimed = await self._claims.claim([*asked.free, *asked.admitted])
        return Passed(claimed.grants, postponed, [*not_due, *claimed.not_due], claimed.moved)

    async def _ask(self, jobs: list[Job]) -> _Asked:
        if not jobs:
            return _Asked([], [], {}, [])
        limited = await self._destinations.that_must_ask(jobs)
        asking = {job: None for job in jobs if job in limited or is_at_discord(job.destination)}  # in their order
        ready = await self._claims.ready(asking)
        found = {each.job for each in ready}
        waits = await self._destinations.admit([each for each in ready if each.job in limited])
        rest = [each for each in ready if each.job not in waits]
        waits |= await self._egress.admit([each for each in rest if is_at_discord(each.job.destination)])
        admitted = [each.job for each in rest if each.job not in waits]
        return _Asked(
            free=[job for job in jobs if job not in asking] + [job for job in admitted if job not in limited],
            admitted=[job for job in admitted if job in limited],
            waits=waits,
            not_ready=[job for job in asking if job not in found],
        )

    async def _ask_in_passing(self, jobs: list[Job]) -> dict[Job, Wait]:
        """As above, of those that may not begin now in any case."""
        asked = await self._ask(jobs)
        await self._destinations.release(jobs)
        return asked.waits

    async def _turn_away(self, jobs: list[Job]) -> None:
        try:
            await self._destinations.release(jobs)
        except Exception as error:  # windows end by themselves, and so does the time of a probe
            _log.warning("room.not_returned", kind=type(error).__name__)
        for job in jobs:  # last: who is let in then finds that room
            self._crowd.leave(job.destination)
