"""ADAPTER. The exchanges and queues, as operators see them in RabbitMQ's management console.

Names and arguments are a contract between releases: RabbitMQ refuses to redeclare a queue with others.
"""

from typing import Any

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue

JOBS_EXCHANGE = "tocsin.jobs"
CHANGES_EXCHANGE = "tocsin.schedule-changes"

WORK_QUEUE = "deliveries"
DEAD_QUEUE = "deliveries.dead"
TIERS_S = tuple(2**n for n in range(10))
"""1, 2, 4 … 512 seconds: one queue each, because a TTL expires only at the head of a queue."""

DEAD_MAX_LENGTH = 100_000
DELIVERY_LIMIT = 20
DECLARE_TIMEOUT_S = 10


def tier_queue(seconds: int) -> str:
    """`deliveries.retry.8s`"""
    return f"{WORK_QUEUE}.retry.{seconds}s"


def queue_arguments() -> dict[str, dict[str, Any]]:
    """Every shared queue with its arguments; all are durable and bound to JOBS_EXCHANGE by their name."""
    quorum = {"x-queue-type": "quorum"}
    # At-least-once dead-lettering silently becomes at-most-once without reject-publish.
    lossless = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
    queues: dict[str, dict[str, Any]] = {
        DEAD_QUEUE: {**quorum, "x-max-length": DEAD_MAX_LENGTH},
        WORK_QUEUE: {
            **quorum,
            **lossless,
            "x-dead-letter-exchange": JOBS_EXCHANGE,
            "x-dead-letter-routing-key": DEAD_QUEUE,
            "x-delivery-limit": DELIVERY_LIMIT,
        },
    }
    for seconds in TIERS_S:
        queues[tier_queue(seconds)] = {
            **quorum,
            **lossless,
            "x-dead-letter-exchange": JOBS_EXCHANGE,
            "x-dead-letter-routing-key": WORK_QUEUE,
            "x-message-ttl": seconds * 1000,
        }
    return queues


async def declare_jobs(channel: AbstractChannel) -> tuple[AbstractExchange, AbstractQueue]:
    """Declare everything that jobs travel through; returns the exchange and the work queue."""
    exchange = await channel.declare_exchange(
        JOBS_EXCHANGE, ExchangeType.DIRECT, durable=True, timeout=DECLARE_TIMEOUT_S
    )
    queues = {}
    for name, arguments in queue_arguments().items():
        queues[name] = await channel.declare_queue(
            name, durable=True, arguments=arguments, timeout=DECLARE_TIMEOUT_S
        )
        await queues[name].bind(exchange, routing_key=name, timeout=DECLARE_TIMEOUT_S)
    return exchange, queues[WORK_QUEUE]


async def declare_changes(channel: AbstractChannel) -> AbstractExchange:
    """Declare the exchange that carries schedule changes to every scheduler."""
    return await channel.declare_exchange(
        CHANGES_EXCHANGE, ExchangeType.FANOUT, durable=True, timeout=DECLARE_TIMEOUT_S
    )
