"""ADAPTER. Where messages go that this sender cannot read: each is published again, whole, before it is acked.

One of another release's version waits in the retry tiers and comes back, until a sender of that release takes it.
What is of no version is shown to operators.
"""

import msgspec
import structlog
from aio_pika.abc import AbstractIncomingMessage, HeadersType

from tocsin_common import topology
from tocsin_common.messages import UnknownVersionError
from tocsin_dispatcher import metrics
from tocsin_dispatcher.publisher import Publisher

MOST_PARKED = 177
"""Times that a message waits, from the tenth on in the largest tier: a day in all. By then the sweeper has brought
its executions back, or given them up."""

_log = structlog.get_logger(__name__)


async def put_aside(message: AbstractIncomingMessage, error: msgspec.DecodeError, publisher: Publisher) -> None:
    """Returns once `message` is stored where it goes, however long the broker is away; then it may be acked.

    Until then it stays one of the prefetch: a malformed one is brought back by no row.
    """
    times = times_parked(message.headers)
    if isinstance(error, UnknownVersionError) and times < MOST_PARKED:
        _log.warning("message.parked", version=error.version, times=times + 1)
        metrics.MESSAGES_PARKED.inc()
        headers = {**_own(message.headers), "reason": str(error), "parked": times + 1}
        await publisher.insist_on_body(message.body, topology.tier_queue(tier_after(times)), headers)
    else:
        _log.error("message.malformed", error=str(error))
        await publisher.insist_on_body(message.body, topology.DEAD_QUEUE, {"reason": f"malformed: {error}"})


def times_parked(headers: HeadersType) -> int:
    """How often a message has waited already; whoever wrote its header."""
    times = headers.get("parked")
    return max(0, times) if isinstance(times, int) else 0


def tier_after(times: int) -> int:
    """How long it waits next, in seconds: twice as long each time."""
    return topology.TIERS_S[min(times, len(topology.TIERS_S) - 1)]


def _own(headers: HeadersType) -> HeadersType:
    """Without what the broker has added."""
    return {name: value for name, value in headers.items() if not name.startswith("x-")}
