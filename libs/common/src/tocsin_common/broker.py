"""ADAPTER. How Tocsin's processes connect to RabbitMQ."""

import asyncio
import time
from importlib.metadata import version

import aio_pika
import structlog
from aio_pika.abc import AbstractRobustConnection, TimeoutType

from tocsin_common.errors import UnavailableError

RETRY_S = 0.5
HEARTBEAT_S = 10

BROKER_ERRORS = (
    OSError,
    TimeoutError,
    aio_pika.exceptions.AMQPError,
    aio_pika.exceptions.ChannelInvalidStateError,
    aio_pika.exceptions.DeliveryError,
    RuntimeError,  # aiormq: a channel that closes while it is used
)
"""What means that RabbitMQ is away, or did not take a message."""

_log = structlog.get_logger(__name__)


class _Connection(aio_pika.RobustConnection):
    async def connect(self, timeout: TimeoutType = None) -> None:  # noqa: ASYNC109 - as in the base class
        try:
            await super().connect(timeout)
        except BaseException:
            # An attempt that is cancelled would go on in the background for ever. Nobody waits for its end,
            # which takes up to the pause between two attempts.
            self._closing = asyncio.create_task(self.close())
            raise


async def connect(
    rabbitmq_url: str, *, name: str, timeout_s: float, description: str = ""
) -> AbstractRobustConnection:
    """A connection that reconnects by itself and shows as `name`, with `description`, in the management console.

    Waits up to `timeout_s` for RabbitMQ to answer, then raises UnavailableError.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return await aio_pika.connect_robust(
                rabbitmq_url,
                timeout=5,
                heartbeat=HEARTBEAT_S,
                reconnect_interval=1,
                client_properties={
                    "connection_name": name,
                    "product": "Tocsin",
                    "version": version("tocsin-common"),
                    "information": description,  # what AMQP calls it; else the library puts its own address there
                },
                connection_class=_Connection,
            )
        except BROKER_ERRORS as error:
            if time.monotonic() > deadline:
                raise UnavailableError(f"RabbitMQ did not answer within {timeout_s:g} s: {error!r}") from error
            _log.warning("broker.unavailable", error=repr(error))
            await asyncio.sleep(RETRY_S)
