"""SHELL. What comes before a POST: room in this sender, at the destination and at this address; then the claim."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import structlog

from tocsin_common.messages import Job
from tocsin_common.webhook import is_at_discord
from tocsin_dispatcher.sender.claim import Claims, Grant
from tocsin_dispatcher.sender.crowd import Crowd
from tocsin_dispatcher.sender.destinations import Destinations
from tocsin_dispatcher.sender.egress import Egress
from tocsin_dispatcher.sender.post import Attempt
from tocsin_dispatcher.sender.slots import Slots
from tocsin_dispatcher.sender.turns import Wait

OVERFLOW = Wait(2.0, is_turn=False)
"""Of those that are too many to wait in memory for room in this sender."""

_log = structlog.get_logger(__name__)


class Passed(NamedTuple):
    """What became of the jobs that came to the gate; those that are in none of these are done with."""

    grants: Sequence[Grant] = ()
    waits: Sequence[tuple[Job, float]] = ()
    """Their rows were put off; with the seconds until their time."""
    not_due: Sequence[tuple[Job, float]] = ()
    moved: Sequence[Job] = ()
    """Their tasks have another webhook now: they are to come again, with its destination."""


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
        for grant in passed.grants:
            self._destinations.enter(grant.job.destination)
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
        waits = dict.fromkeys(too_many, OVERFLOW) | await self._ask(begin)
        rest = [job for job in begin if job not in waits]
        postponed = await self._claims.postpone(waits)
        if not rest:
            return Passed(waits=postponed)
        claimed = await self._claims.claim(rest)
        return Passed(claimed.grants, postponed, claimed.not_due, claimed.moved)

    async def _ask(self, jobs: list[Job]) -> dict[Job, Wait]:
        """When those of `jobs` that find no room are to come again."""
        if not jobs:
            return {}
        limited = await self._destinations.that_must_ask(jobs)
        ready = await self._claims.ready([job for job in jobs if job in limited or is_at_discord(job.destination)])
        waits = await self._destinations.admit([each for each in ready if each.job in limited])
        admitted = [each for each in ready if each.job not in waits]
        return waits | await self._egress.admit([each for each in admitted if is_at_discord(each.job.destination)])

    async def _turn_away(self, jobs: list[Job]) -> None:
        for job in jobs:
            self._crowd.leave(job.destination)
        await self._destinations.release(jobs)
