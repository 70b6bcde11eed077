"""The model of RabbitMQ as a process reaches it: confirms, returns, and hints. Messages may be lost on the way."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from aio_pika.exceptions import ChannelInvalidStateError, DeliveryError
from pamqp.commands import Basic

from simulation.server import Client
from simulation.world import World
from tocsin_common import topology
from tocsin_common.messages import JobMessage, decode_jobs

TRAVEL_S = 0.002

Deliver = Callable[[JobMessage], None]


class Broker:
    """One RabbitMQ; what is refused, slow or lost is for the faults to say."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.deliver: Deliver = lambda _: None
        self.stored: Callable[[str, JobMessage], None] = lambda *_: None
        self.is_up = True
        self.slowness = 1.0
        self.unconfirmed = 0.0
        """How often a message that may be stored is not confirmed."""
        self.returned = 0.0
        self.lost = 0.0
        """How often a message that was confirmed is lost all the same: somebody purged the queue."""
        self.depth = 0
        self._listeners: dict[tuple[Client, Callable[..., Any]], None] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._under_way: dict[asyncio.Future[None], Client] = {}
        self._cut_off: set[Client] = set()
        self._last_reached: dict[Client, float] = {}
        """When each process that was ever connected had a connection last, if it has none."""

    def connection(self, client: Client) -> "Connection":
        """What `client` takes for a connection."""
        self._last_reached[client] = self.world.now
        return Connection(self, client)

    def stop(self) -> None:
        """It is away; what was on its way may be stored or not."""
        self._lose(set(self._last_reached))
        self.is_up = False

    def start(self) -> None:
        """It is back, for everybody."""
        self.is_up = True
        self._cut_off.clear()
        self._wake()

    def cut_off(self, client: Client) -> None:
        """It is away for one process alone."""
        self._lose({client})
        self._cut_off.add(client)

    def let_back(self, client: Client) -> None:
        """That is over."""
        self._cut_off.discard(client)
        self._wake()

    def reaches(self, client: Client) -> bool:
        """Whether `client` has a connection."""
        return self.is_up and client not in self._cut_off

    def last_reached(self, client: Client) -> float:
        """When `client` had a connection last."""
        return self.world.now if self.reaches(client) else self._last_reached[client]

    def _lose(self, clients: set[Client]) -> None:
        self._last_reached |= {client: self.world.now for client in clients if self.reaches(client)}
        for future, client in list(self._under_way.items()):
            if client in clients:
                del self._under_way[future]
                if not future.done():
                    future.set_exception(ChannelInvalidStateError("the channel is closed"))

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def hint(self) -> None:
        """What the api sends after a change: lost, doubled and late at times."""
        if not self.is_up or self.world.chance(0.15):
            return
        for _ in range(2 if self.world.chance(0.1) else 1):
            late_s = self.world.random.choice((0.002, 0.002, 0.01, 1.0, 3.0))
            self.world.after(late_s * self.world.random.random(), self._hint)

    def _hint(self) -> None:
        for client, hear in list(self._listeners):
            if not client.is_alive:
                del self._listeners[client, hear]
            elif self.reaches(client):
                client.loop.create_task(hear(None))

    def listen(self, client: Client, hear: Callable[..., Any]) -> None:
        """Call `hear` at each hint."""
        self._listeners[client, hear] = None

    async def ready(self, client: Client) -> None:
        """Returns once it is there."""
        while not self.reaches(client) or not client.is_alive:
            future = client.loop.create_future()
            self._waiting.append(future)
            await future

    async def publish(self, client: Client, body: bytes, queue: str) -> None:
        """Store a message, most often, and say so, most often."""
        await self.ready(client)
        message = decode_jobs(body)
        if self.world.chance(self.returned):
            raise DeliveryError(None, Basic.Return(312, "NO_ROUTE", topology.JOBS_EXCHANGE, queue))
        confirmed = client.loop.create_future()
        self._under_way[confirmed] = client
        travel_s = TRAVEL_S * self.world.random.random() * self.slowness
        self.world.after(travel_s, lambda: self._store(client, confirmed, message, queue))
        try:
            await confirmed
        finally:
            self._under_way.pop(confirmed, None)

    def _store(self, client: Client, confirmed: "asyncio.Future[None]", message: JobMessage, queue: str) -> None:
        is_refused = self.world.chance(self.unconfirmed)
        if (is_refused or not self.reaches(client)) and self.world.chance(0.5):
            pass  # it is gone
        else:
            self.send(message, queue)
        if confirmed.done() or not client.is_alive:
            return
        if is_refused:
            confirmed.set_exception(DeliveryError(None, Basic.Nack(1)))
        else:
            confirmed.set_result(None)

    def send(self, message: JobMessage, queue: str) -> None:
        """What is in a queue comes out of it, unless it is lost."""
        self.world.note(f"{queue} has", jobs=len(message.jobs), instant=message.jobs[0].scheduled_for)
        self.stored(queue, message)
        if queue == topology.DEAD_QUEUE or self.world.chance(self.lost):
            return
        wait_s = next((tier for tier in topology.TIERS_S if topology.tier_queue(tier) == queue), 0)
        self.world.after(wait_s + 0.001, lambda: self.deliver(message))


class _Count(NamedTuple):
    message_count: int


class _Queue:
    def __init__(self, broker: Broker, client: Client) -> None:
        self._broker = broker
        self._client = client

    async def bind(self, *_: Any, **__: Any) -> None:
        await self._broker.ready(self._client)

    async def consume(self, hear: Callable[..., Any], **_: Any) -> None:
        self._broker.listen(self._client, hear)


class _Exchange:
    def __init__(self, broker: Broker, client: Client) -> None:
        self._broker = broker
        self._client = client

    async def publish(self, message: Any, *, routing_key: str, mandatory: bool) -> None:
        await self._broker.publish(self._client, message.body, routing_key)


class Channel:
    """What a process takes for a robust channel, and for the plain one below it."""

    def __init__(self, broker: Broker, client: Client) -> None:
        self._broker = broker
        self._client = client

    async def ready(self) -> None:
        await self._broker.ready(self._client)

    async def initialize(self) -> None:
        await self._broker.ready(self._client)

    def __await__(self) -> Iterator[Any]:
        yield from self.initialize().__await__()
        return self

    async def __aenter__(self) -> "Channel":
        await self.initialize()
        return self

    async def __aexit__(self, *_: Any) -> None:
        """Nothing of it stays."""

    async def declare_exchange(self, *_: Any, **__: Any) -> _Exchange:
        return _Exchange(self._broker, self._client)

    async def declare_queue(self, *_: Any, **__: Any) -> _Queue:
        return _Queue(self._broker, self._client)

    async def get_underlay_channel(self) -> "Channel":
        if not self._broker.reaches(self._client):
            raise ChannelInvalidStateError("the channel is closed")
        return self

    async def queue_declare(self, *_: Any, **__: Any) -> _Count:
        await self._broker.ready(self._client)
        return _Count(self._broker.depth)


class _Connected:
    """What a process takes for the event that there is a connection."""

    def __init__(self, broker: Broker, client: Client) -> None:
        self._broker = broker
        self._client = client

    def is_set(self) -> bool:
        return self._broker.reaches(self._client)

    async def wait(self) -> None:
        await self._broker.ready(self._client)


class Connection:
    """What a process takes for a robust connection."""

    transport = None  # there is nothing to be made anew: a broker that is slow answers all the same

    def __init__(self, broker: Broker, client: Client) -> None:
        self._broker = broker
        self._client = client
        self.connected = _Connected(broker, client)

    def channel(self, **_: Any) -> Channel:
        return Channel(self._broker, self._client)
