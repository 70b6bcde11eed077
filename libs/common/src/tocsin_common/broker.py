"""ADAPTER. How Tocsin's processes connect to RabbitMQ."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from itertools import count, cycle
from typing import Any, cast
from weakref import WeakSet

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection, AbstractRobustConnection, TimeoutType, UnderlayConnection
from aiormq.abc import AbstractConnection as PlainConnection
from yarl import URL

from tocsin_common.errors import TocsinError, UnavailableError
from tocsin_common.settings_forms import rabbitmq_nodes

RETRY_S = 0.5
HEARTBEAT_S = 10
CLOSE_TIMEOUT_S = 5
OPEN_TIMEOUT_S = 30  # with all that is declared on the channel


class CallLostError(TocsinError):
    """The connection was given up in the middle of a call: whether RabbitMQ has done it nobody knows."""


BROKER_ERRORS = (
    OSError,
    TimeoutError,
    CallLostError,
    aio_pika.exceptions.AMQPError,
    aio_pika.exceptions.ChannelInvalidStateError,
    aio_pika.exceptions.DeliveryError,
    RuntimeError,  # aiormq: a channel that closes while it is used
)
"""What means that RabbitMQ is away, or did not take a message."""

_given_up: WeakSet[PlainConnection] = WeakSet()
"""Nobody is to end one of these twice."""

_log = structlog.get_logger(__name__)


class _Channel(aio_pika.RobustChannel):
    """One that is opened again for as long as it is wanted.

    The base class tries once to reopen what RabbitMQ has closed. Where that fails, as something was declared
    otherwise by somebody, nobody would try again while the connection stands. So the connection is made anew:
    that is tried every second, at one node after the other, and brings all channels back.
    """

    async def _on_close(self, closing: asyncio.Future[Any]) -> BaseException | None:
        try:
            async with call():
                return await super()._on_close(closing)
        except Exception as error:  # the edge: whatever it was, nobody else would hear of it
            if self.is_closed and not self._close_called:
                await renew(self._connection, error)
            return error

    async def _open(self) -> None:
        # The base class waits until the connection can be used. Where that ended first, while RabbitMQ took
        # nothing (its alarms), it would wait for ever, and keep the next connection from reopening it.
        transport = self._connection.transport
        if transport is not None:
            ready, closing = asyncio.ensure_future(transport.ready()), transport.connection.closing
            try:
                await asyncio.wait([ready, closing], return_when=asyncio.FIRST_COMPLETED)
            finally:
                ready.cancel()
                closing.cancel()  # this view of it alone
            if transport.connection.is_closed:
                raise aio_pika.exceptions.ChannelInvalidStateError("its connection has ended")
        async with call(OPEN_TIMEOUT_S):
            await super()._open()


class _Connection(aio_pika.RobustConnection):
    """One whose attempts go to one node after the other."""

    CHANNEL_CLASS = _Channel

    def __init__(self, nodes: Iterator[str], url: URL, **options: Any) -> None:
        self._nodes = nodes
        super().__init__(url, **options)

    # The base class has nothing else that happens once for each attempt, and for those that fail, too.
    async def _RobustConnection__connect_transport(self) -> None:
        self.url = URL(next(self._nodes)).update_query(self.url.query)
        await super()._RobustConnection__connect_transport()  # type: ignore[misc]  # it is private

    async def connect(self, timeout: TimeoutType = None) -> None:  # noqa: ASYNC109 - as in the base class
        try:
            await super().connect(timeout)
        except BaseException:
            # An attempt that is cancelled would go on in the background for ever. Its end is waited for: where the
            # event loop ends in the middle of it, the library waits for ever, and the process with it.
            with suppress(Exception):  # whatever it ends with
                async with call(CLOSE_TIMEOUT_S):
                    await self.close()
            raise


@asynccontextmanager
async def call(timeout_s: float | None = None) -> AsyncIterator[None]:
    """Stands around everything that is asked of RabbitMQ: whatever goes wrong in it is one of BROKER_ERRORS.

    What takes longer than `timeout_s` is a TimeoutError. That is ours, because a robust channel waits for its
    connection without one. None leaves it to the heartbeats: a call ends with its connection.
    """
    cancelled_before = _cancellations()  # not always 0: a TaskGroup that failed may leave one behind
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except (asyncio.CancelledError, Exception) as error:
        if _cancellations() > cancelled_before:  # somebody wants the task to end, whatever aiormq made of that
            raise asyncio.CancelledError from error
        # When it gives a connection up, aiormq ends the calls under way: with a CancelledError where the server
        # fell silent, with a bare Exception where its last words had just been read. Nobody wants the task to
        # end then, and a TaskGroup would not even notice that it did.
        if isinstance(error, asyncio.CancelledError) or type(error) is Exception:
            raise CallLostError("RabbitMQ fell silent or hung up in the middle of a call") from error
        raise
    # One that comes in the same moment as an answer is lost in asyncio.wait_for, which aiormq calls, before
    # Python 3.12: the loop would go on, and its process wait for its end for ever.
    if _cancellations() > cancelled_before:
        raise asyncio.CancelledError


def _cancellations() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


async def renew(connection: AbstractConnection, error: BaseException) -> None:
    """Have a connection that stands made anew, with all its channels; one that is away comes back by itself.

    Nothing happens while RabbitMQ takes nothing from anybody, as its alarms do: that is waited for.
    """
    transport = connection.transport
    if transport is None or transport.connection.is_closed or await _is_blocked(transport):
        return
    if transport.connection in _given_up:
        return
    _given_up.add(transport.connection)
    _log.warning("broker.renewed", error=repr(error))
    with suppress(*BROKER_ERRORS):  # whatever it ends with, it is made anew
        async with call(CLOSE_TIMEOUT_S):  # it may be that RabbitMQ does not read it
            await transport.connection.close()


async def ensure_heard(connection: AbstractConnection, timeout_s: float) -> None:
    """Have a connection made anew on which RabbitMQ answers nothing, though it stands.

    RabbitMQ stops reading from those that publish faster than it can store. Where the queue is deleted meanwhile,
    that may be for ever (3.10: the connection stays in the state `flow`); its heartbeats go on.
    """
    try:
        async with call(timeout_s), connection.channel():
            return
    except TimeoutError as error:
        await renew(connection, error)
    except BROKER_ERRORS:
        return  # it comes back by itself


async def _is_blocked(transport: UnderlayConnection) -> bool:
    ready = asyncio.ensure_future(transport.ready())
    await asyncio.sleep(0)
    is_blocked = not ready.done()
    ready.cancel()
    return is_blocked


async def connect(
    rabbitmq_url: str, *, name: str, timeout_s: float, description: str = "", heartbeat_s: int = HEARTBEAT_S
) -> AbstractRobustConnection:
    """A connection that reconnects by itself and shows as `name`, with `description`, in the management console.

    `rabbitmq_url` names one node or several; each attempt goes to the next one.
    Waits up to `timeout_s` for RabbitMQ to answer, then raises UnavailableError. A connection on which nothing
    came for 3 * (`heartbeat_s` + 1) seconds is given up and made anew.
    """
    deadline = time.monotonic() + timeout_s
    urls = rabbitmq_nodes(rabbitmq_url)
    nodes = cycle(urls)
    for attempt in count(1):
        try:
            return await aio_pika.connect_robust(
                urls[0],  # the attempt itself goes to the next of `nodes`
                timeout=5,
                heartbeat=heartbeat_s,
                reconnect_interval=1,
                client_properties={
                    "connection_name": name,
                    "product": "Tocsin",
                    "version": version("tocsin-common"),
                    "information": description,  # what AMQP calls it; else the library puts its own address there
                },
                connection_class=cast(type[_Connection], partial(_Connection, nodes)),
            )
        except BROKER_ERRORS as error:
            if time.monotonic() > deadline and attempt >= len(urls):
                raise UnavailableError(f"RabbitMQ did not answer within {timeout_s:g} s: {error!r}") from error
            _log.warning("broker.unavailable", error=repr(error))
            await asyncio.sleep(RETRY_S)
    raise AssertionError("there is always one more attempt")
