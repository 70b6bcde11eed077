"""SHELL. A leader that RabbitMQ is away from emits nothing: it lets another scheduler lead, which may reach it."""

import asyncio

from tocsin_common.errors import TocsinError
from tocsin_common.settings import SchedulerSettings

YIELD_AFTER_S = 5.0
"""A RabbitMQ that is started again, or another node of its cluster, may be there before."""
YIELD_AGAIN_S = 30.0
"""For who took the lease without RabbitMQ, as nobody who reached it wanted the lease. By then somebody may, one
that was being started, say; and what is owed meanwhile is still within the grace of 60 s."""
LOOK_S = 0.5
LEFT_FOR_OTHERS = 10
"""So often may a scheduler that reaches RabbitMQ ask for a free lease before one that does not may take it."""


class CutOffError(TocsinError):
    """RabbitMQ is away from here: let another scheduler lead."""


class NeverReachedError(CutOffError):
    """It has been away since before the term began."""


async def yield_when_cut_off(connected: asyncio.Event) -> None:
    """Raise CutOffError where the term's connection to RabbitMQ has been away for too long.

    `connected` is set while there is one, be it blocked: RabbitMQ's alarms hold for every scheduler.
    """
    # Unless it is there: the lease is taken without it where nobody else wants it.
    patience_s: float = YIELD_AGAIN_S
    error: type[CutOffError] = NeverReachedError
    while True:
        try:
            async with asyncio.timeout(patience_s):
                await connected.wait()
        except TimeoutError:
            raise error(f"RabbitMQ has been away for {patience_s:g} s, another one may reach it") from None
        patience_s, error = YIELD_AFTER_S, CutOffError
        await asyncio.sleep(LOOK_S)


def free_for_s(connected: asyncio.Event, settings: SchedulerSettings) -> float:
    """How long a lease must have been free for this scheduler to take it.

    Never so long that scheduling would count as started anew.
    """
    if connected.is_set():
        return 0.0
    return min(LEFT_FOR_OTHERS * settings.standby_poll_s, settings.reboot_after_s / 2)
