"""ADAPTER. The exchanges and queues, as operators see them in RabbitMQ's management console.

Names and arguments are a contract between releases: RabbitMQ refuses to redeclare a queue with others. A changed
argument needs a new name, and the former one a place in FORMER_QUEUES. Only `description` is free. RabbitMQ shows
it and does not compare it: a queue keeps the one that it was made with.
"""

from typing import Any

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue

JOBS_EXCHANGE = "tocsin.jobs"
CHANGES_EXCHANGE = "tocsin.schedule-changes"

FAMILY = "deliveries"
"""All queues of jobs, of every release, are named so or begin so, with a dot: what services may do goes by it."""
WORK_QUEUE = FAMILY
DEAD_QUEUE = f"{FAMILY}.dead"
FORMER_QUEUES: dict[str, dict[str, Any]] = {}
"""The work queue of the release before with its arguments, where this release has another one. Senders take from
both, so processes of both may run side by side; the tiers of that release lead back to it and empty themselves."""
TIERS_S: tuple[int, ...] = tuple(2**n for n in range(10))
"""1, 2, 4 … 512 seconds: one queue each, because a TTL expires only at the head of a queue."""

EXCHANGES = {
    JOBS_EXCHANGE: "Everything that concerns executions; the routing key is the queue",
    CHANGES_EXCHANGE: "Hints that a task was changed; one queue for each scheduler",
}
"""Every exchange with its description."""

WORK_DESCRIPTION = "Executions that a sender may take now; near empty when all is well"
DEAD_DESCRIPTION = "Failed executions and malformed messages, to be looked at; purging them loses nothing"
HINTS_DESCRIPTION = "Wakes one scheduler when a task was changed; goes with its connection"

DEAD_MAX_LENGTH = 100_000
DELIVERY_LIMIT = 20
DECLARE_TIMEOUT_S = 10


def tier_queue(seconds: int) -> str:
    """`deliveries.retry.8s`"""
    return f"{WORK_QUEUE}.retry.{seconds}s"


def tier_for(wait_s: float) -> int | None:
    """The largest tier that fits into `wait_s`, in seconds; None where none does."""
    fitting = [tier for tier in TIERS_S if tier <= wait_s]
    return fitting[-1] if fitting else None


def queue_arguments() -> dict[str, dict[str, Any]]:
    """Every shared queue with its arguments; all are durable and bound to JOBS_EXCHANGE by their name."""
    quorum = {"x-queue-type": "quorum"}
    # At-least-once dead-lettering silently becomes at-most-once without reject-publish.
    lossless = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
    queues: dict[str, dict[str, Any]] = {
        DEAD_QUEUE: {**quorum, "description": DEAD_DESCRIPTION, "x-max-length": DEAD_MAX_LENGTH},
        WORK_QUEUE: {
            **quorum,
            "description": WORK_DESCRIPTION,
            **lossless,
            "x-dead-letter-exchange": JOBS_EXCHANGE,
            "x-dead-letter-routing-key": DEAD_QUEUE,
            "x-delivery-limit": DELIVERY_LIMIT,
        },
    }
    for seconds in TIERS_S:
        queues[tier_queue(seconds)] = {
            **quorum,
            "description": f"Executions that wait {seconds} s for a retry or their turn, "
            f"then go back to {WORK_QUEUE}",
            **lossless,
            "x-dead-letter-exchange": JOBS_EXCHANGE,
            "x-dead-letter-routing-key": WORK_QUEUE,
            "x-message-ttl": seconds * 1000,
        }
    return {**queues, **FORMER_QUEUES}


async def declare_jobs(channel: AbstractChannel) -> tuple[AbstractExchange, AbstractQueue]:
    """Declare everything that jobs travel through; returns the exchange and the work queue."""
    exchange = await declare_jobs_exchange(channel)
    queues = {}
    for name, arguments in queue_arguments().items():
        queues[name] = await channel.declare_queue(
            name, durable=True, arguments=arguments, timeout=DECLARE_TIMEOUT_S
        )
        await queues[name].bind(exchange, routing_key=name, timeout=DECLARE_TIMEOUT_S)
    return exchange, queues[WORK_QUEUE]


async def declare_jobs_exchange(channel: AbstractChannel) -> AbstractExchange:
    """Declare the exchange alone: for those who publish only, and to whom what no queue takes comes back."""
    return await _declare_exchange(channel, JOBS_EXCHANGE, ExchangeType.DIRECT)


async def declare_changes(channel: AbstractChannel) -> AbstractExchange:
    """Declare the exchange that carries schedule changes to every scheduler."""
    return await _declare_exchange(channel, CHANGES_EXCHANGE, ExchangeType.FANOUT)


async def _declare_exchange(channel: AbstractChannel, name: str, kind: ExchangeType) -> AbstractExchange:
    return await channel.declare_exchange(
        name, kind, durable=True, arguments={"description": EXCHANGES[name]}, timeout=DECLARE_TIMEOUT_S
    )
