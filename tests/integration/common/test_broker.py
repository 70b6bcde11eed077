"""Connections to RabbitMQ and what is declared on them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from typing import Any
from urllib.parse import quote, urlsplit

import aio_pika
import pytest
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue, AbstractRobustChannel, AbstractRobustConnection
from structlog.testing import capture_logs

from relay import Relay
from tocsin_common import broker, topology
from tocsin_common.errors import UnavailableError
from waiting import WAIT_S, eventually

LookUp = Callable[[str], Awaitable[Any]]


@pytest.fixture
async def connection(rabbitmq_url: str) -> AsyncIterator[AbstractRobustConnection]:
    async with await broker.connect(rabbitmq_url, name="a test", timeout_s=WAIT_S) as connection:
        yield connection


async def publish(connection: AbstractRobustConnection, queue: str, body: bytes) -> None:
    channel = await connection.channel(on_return_raises=True)
    exchange, _ = await topology.declare_jobs(channel)
    message = Message(body, delivery_mode=DeliveryMode.PERSISTENT)
    await exchange.publish(message, routing_key=queue, mandatory=True, timeout=WAIT_S)
    await channel.close()


async def receive(
    connection: AbstractRobustConnection, name: str, answer: Callable[[AbstractIncomingMessage], Awaitable[bool]]
) -> AbstractIncomingMessage:
    """Consume until `answer`, which settles each message, is true of one."""
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=1)
    queue: AbstractQueue = await channel.get_queue(name)
    async with asyncio.timeout(WAIT_S), queue.iterator() as messages:
        async for message in messages:
            if await answer(message):
                return message
    raise AssertionError("the queue was taken away")


async def ack(message: AbstractIncomingMessage) -> bool:
    await message.ack()
    return True


async def test_a_connection_shows_under_its_name_and_says_what_it_is_for(rabbitmq_url, management):
    async def shown() -> Any:
        vhost = quote(urlsplit(rabbitmq_url).path[1:], safe="")
        listed = (await management.get(f"vhosts/{vhost}/connections")).json()
        return [each["client_properties"] for each in listed if each.get("client_properties")]

    async with await broker.connect(rabbitmq_url, name="a test", timeout_s=WAIT_S, description="Tries"):
        (properties,) = await eventually(shown)

    assert properties["connection_name"] == "a test"
    assert properties["information"] == "Tries"
    assert (properties["product"], properties["version"]) == ("Tocsin", version("tocsin-common"))


@pytest.mark.parametrize("timeout_s", [0, 0.3])
async def test_a_broker_that_is_away_is_unavailable_within_the_bound(timeout_s, closed_port):
    started = time.monotonic()

    with capture_logs(), pytest.raises(UnavailableError) as caught:
        await broker.connect(f"amqp://user:password@127.0.0.1:{closed_port}/", name="a test", timeout_s=timeout_s)

    assert timeout_s <= time.monotonic() - started < timeout_s + 2
    assert str(caught.value).startswith(f"RabbitMQ did not answer within {timeout_s} s: ")
    assert "password" not in str(caught.value)


async def test_a_login_that_is_refused_is_said_without_the_password(rabbitmq_url):
    parts = urlsplit(rabbitmq_url)
    url = parts._replace(netloc=f"nobody:wrong-password@{parts.hostname}:{parts.port}").geturl()

    with capture_logs() as lines, pytest.raises(UnavailableError) as caught:
        await broker.connect(url, name="a test", timeout_s=0)

    assert "wrong-password" not in f"{caught.value} {lines}"


async def test_a_broker_that_comes_late_is_connected_to(rabbitmq_url):
    with capture_logs() as lines:
        async with Relay(rabbitmq_url) as relay:
            await relay.cut()
            connecting = asyncio.create_task(broker.connect(relay.url, name="a test", timeout_s=WAIT_S))
            await eventually(lambda: value_of(lines))

            await relay.restore()

            async with await connecting as connection:
                assert not connection.is_closed
    assert {line["event"] for line in lines} == {"broker.unavailable"}


async def value_of(value: Any) -> Any:
    return value


async def test_a_connection_that_broke_comes_back_by_itself(rabbitmq_url):
    async with (
        Relay(rabbitmq_url) as relay,
        await broker.connect(relay.url, name="x", timeout_s=WAIT_S) as connection,
    ):
        came_back = asyncio.Event()
        connection.reconnect_callbacks.add(lambda *_: came_back.set())
        channel = await connection.channel()

        await relay.cut()
        await relay.restore()

        async with asyncio.timeout(WAIT_S):
            await came_back.wait()
            await channel.ready()
        await channel.declare_queue("after", exclusive=True, timeout=WAIT_S)


async def test_a_channel_that_waits_for_a_broker_that_takes_nothing_outlives_its_connection(rabbitmq_url: str):
    with capture_logs() as lines:
        async with (
            Relay(rabbitmq_url) as relay,
            await broker.connect(relay.url, name="x", timeout_s=WAIT_S) as connection,
        ):
            channel = await connection.channel()
            relay.mute()
            closing = asyncio.create_task(lost_call(channel.declare_queue("nowhere", passive=True)))
            await relay.hears(b"nowhere")
            take_nothing(connection)
            relay.unmute()
            assert isinstance(await closing, aio_pika.exceptions.ChannelNotFoundEntity)

            await relay.cut()
            await relay.restore()

            async with asyncio.timeout(WAIT_S):
                await channel.ready()
                await channel.declare_queue("after", exclusive=True)

    assert lines == []  # it was not made anew for that


async def have_reopening_freeze(relay: Relay, connection: AbstractRobustConnection) -> AbstractRobustChannel:
    """A channel that is being opened again, where RabbitMQ does not answer a declaration."""
    channel = await connection.channel()
    await channel.declare_queue("some", exclusive=True)
    relay.freeze_before(b"some")
    await (await channel.get_underlay_channel()).basic_ack(4711)  # which was never delivered
    return channel


async def test_a_channel_whose_reopening_gets_no_answer_is_there_on_another_connection(rabbitmq_url, monkeypatch):
    monkeypatch.setattr(broker, "OPEN_TIMEOUT_S", 0.3)
    with capture_logs() as lines:
        async with (
            Relay(rabbitmq_url) as relay,
            await broker.connect(relay.url, name="x", timeout_s=WAIT_S) as connection,
        ):
            channel = await have_reopening_freeze(relay, connection)
            await eventually(lambda: value_of(lines))
            relay.thaw()

            async with asyncio.timeout(WAIT_S):
                await channel.ready()
                await channel.declare_queue("after", exclusive=True)

    assert [line["event"] for line in lines] == ["broker.renewed"]


async def test_a_connection_that_is_being_made_anew_can_be_closed(rabbitmq_url, monkeypatch):
    monkeypatch.setattr(broker, "OPEN_TIMEOUT_S", 0.3)
    before = asyncio.all_tasks()
    with capture_logs() as lines:
        async with Relay(rabbitmq_url) as relay:
            connection = await broker.connect(relay.url, name="x", timeout_s=WAIT_S)
            await have_reopening_freeze(relay, connection)
            await eventually(lambda: value_of(lines))

            async with asyncio.timeout(WAIT_S):
                await connection.close()

    await eventually(lambda: value_of(asyncio.all_tasks() <= before))


async def test_a_connection_that_is_given_up_by_several_is_made_anew_once(rabbitmq_url: str):
    with capture_logs() as lines:
        async with (
            Relay(rabbitmq_url) as relay,
            await broker.connect(relay.url, name="x", timeout_s=WAIT_S) as connection,
        ):
            channel = await connection.channel()
            relay.freeze()

            await asyncio.gather(*(broker.ensure_heard(connection, 0.3) for _ in range(3)))
            relay.thaw()

            async with asyncio.timeout(WAIT_S):
                await channel.ready()
                await channel.declare_queue("after", exclusive=True)

    assert [line["event"] for line in lines] == ["broker.renewed"]


async def test_a_connection_from_which_rabbitmq_takes_nothing_is_not_made_anew_for_that(
    connection: AbstractRobustConnection,
):
    take_nothing(connection)

    with capture_logs() as lines:
        await broker.ensure_heard(connection, 0.3)

    assert lines == []


def take_nothing(connection: AbstractRobustConnection) -> None:
    """As if RabbitMQ had said that it does, as its alarms do: those are for all that use it."""
    assert connection.transport is not None
    connection.transport.connection._Connection__connection_unblocked.clear()  # type: ignore[attr-defined]  # it is private


async def test_a_connection_to_a_node_that_is_away_goes_to_the_next_one(rabbitmq_url, closed_port):
    async with Relay(rabbitmq_url) as first, Relay(rabbitmq_url) as second:
        nodes = [f"amqp://127.0.0.1:{closed_port}", first.url, second.url]
        with capture_logs():
            connection = await broker.connect(",".join(nodes), name="x", timeout_s=0)
        async with connection:
            came_back = asyncio.Event()
            connection.reconnect_callbacks.add(lambda *_: came_back.set())
            channel = await connection.channel()

            for relay in (first, second):
                came_back.clear()
                await relay.cut()
                async with asyncio.timeout(WAIT_S):
                    await came_back.wait()
                    await channel.ready()
                await channel.declare_queue(None, exclusive=True, timeout=WAIT_S)
                await relay.restore()


async def test_a_call_to_a_broker_that_falls_silent_is_lost_and_the_next_one_is_answered(rabbitmq_url):
    async with (
        Relay(rabbitmq_url) as relay,
        await broker.connect(relay.url, name="x", timeout_s=WAIT_S, heartbeat_s=1) as connection,
    ):
        channel = await connection.channel()
        exchange, queue = await topology.declare_jobs(channel)
        relay.freeze()
        calls = [
            asyncio.create_task(lost_call(exchange.publish(Message(b"x"), routing_key=topology.WORK_QUEUE))),
            asyncio.create_task(lost_call(queue.consume(ack))),
            asyncio.create_task(lost_call(channel.set_qos(prefetch_count=1))),
        ]

        async with asyncio.timeout(WAIT_S):
            errors = await asyncio.gather(*calls)
        relay.thaw()

        assert [type(error) for error in errors] == [broker.CallLostError] * 3
        async with broker.call(WAIT_S):
            await channel.ready()
            await exchange.publish(Message(b"x"), routing_key=topology.WORK_QUEUE)


async def lost_call(asked: Awaitable[Any]) -> Exception | None:
    """What comes of `asked` instead of an answer."""
    try:
        async with broker.call():
            await asked
    except broker.BROKER_ERRORS as error:
        return error
    return None


async def test_an_attempt_that_is_broken_off_does_not_go_on_in_the_background():
    reached, left = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await reader.read()
        writer.close()
        left.set()

    before = asyncio.all_tasks()
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as mute, asyncio.timeout(WAIT_S):
        port = mute.sockets[0].getsockname()[1]
        connecting = asyncio.create_task(broker.connect(f"amqp://127.0.0.1:{port}/", name="x", timeout_s=WAIT_S))
        await reached.wait()

        connecting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await connecting
        # Who still closed the connection when the event loop ends would wait for ever, and the process with it.
        at_work = [repr(task.get_coro()) for task in asyncio.all_tasks() - before]
        await left.wait()
    assert not [each for each in at_work if "RobustConnection" in each]
    await eventually(lambda: value_of(asyncio.all_tasks() <= before))


async def test_the_whole_topology_is_there_after_it_was_declared_twice(connection, look_up):
    channel = await connection.channel()
    for _ in range(2):
        exchange, queue = await topology.declare_jobs(channel)
        changes = await topology.declare_changes(channel)

    assert (exchange.name, queue.name, changes.name) == ("tocsin.jobs", "deliveries", "tocsin.schedule-changes")
    queues = {each["name"]: each for each in await look_up("queues")}
    assert {name: each["arguments"] for name, each in queues.items()} == topology.queue_arguments()
    assert all(each["durable"] and not each["auto_delete"] for each in queues.values())
    exchanges = {each["name"]: each for each in await look_up("exchanges") if each["name"] in topology.EXCHANGES}
    assert {name: (each["type"], each["durable"], each["arguments"]) for name, each in exchanges.items()} == {
        "tocsin.jobs": ("direct", True, {"description": topology.EXCHANGES["tocsin.jobs"]}),
        "tocsin.schedule-changes": (
            "fanout",
            True,
            {"description": topology.EXCHANGES["tocsin.schedule-changes"]},
        ),
    }
    bindings = await look_up("bindings")
    bound = [(each["routing_key"], each["destination"]) for each in bindings if each["source"] == "tocsin.jobs"]
    assert sorted(bound) == sorted((name, name) for name in topology.queue_arguments())


async def test_a_queue_cannot_be_declared_with_other_arguments(connection):
    await topology.declare_jobs(await connection.channel())
    arguments = {**topology.queue_arguments()["deliveries"], "x-delivery-limit": 5}
    channel = await connection.channel()

    with pytest.raises(aio_pika.exceptions.ChannelPreconditionFailed):
        await channel.declare_queue("deliveries", durable=True, arguments=arguments, timeout=WAIT_S)


async def test_a_description_may_change_from_release_to_release(connection):
    await topology.declare_jobs(await connection.channel())
    await topology.declare_changes(await connection.channel())

    for description in ({"description": "another one"}, {}):
        channel = await connection.channel()
        for name, arguments in topology.queue_arguments().items():
            changed = {key: value for key, value in arguments.items() if key != "description"} | description
            await channel.declare_queue(name, durable=True, arguments=changed, timeout=WAIT_S)
        for name, kind in {"tocsin.jobs": "direct", "tocsin.schedule-changes": "fanout"}.items():
            await channel.declare_exchange(name, kind, durable=True, arguments=description, timeout=WAIT_S)


async def test_a_message_in_the_first_tier_comes_back_to_the_work_queue_after_a_second(connection):
    started = time.monotonic()
    await publish(connection, topology.tier_queue(1), b"again")

    message = await receive(connection, topology.WORK_QUEUE, ack)

    assert message.body == b"again"
    assert time.monotonic() - started >= 1
    (death,) = message.headers["x-death"]
    assert (death["queue"], death["reason"], death["count"]) == ("deliveries.retry.1s", "expired", 1)


async def test_a_message_that_is_rejected_goes_to_the_dead_queue_with_the_reason(connection):
    async def reject(message: AbstractIncomingMessage) -> bool:
        await message.reject(requeue=False)
        return True

    await publish(connection, topology.WORK_QUEUE, b"bad")
    await receive(connection, topology.WORK_QUEUE, reject)

    message = await receive(connection, topology.DEAD_QUEUE, ack)

    assert message.body == b"bad"
    (death,) = message.headers["x-death"]
    assert (death["queue"], death["reason"], death["count"]) == ("deliveries", "rejected", 1)


async def test_a_message_that_is_handed_back_too_often_goes_to_the_dead_queue(connection):
    deliveries = []

    async def hand_back(message: AbstractIncomingMessage) -> bool:
        deliveries.append(message.body)
        await message.reject(requeue=True)
        return len(deliveries) > topology.DELIVERY_LIMIT

    await publish(connection, topology.WORK_QUEUE, b"poison")
    await receive(connection, topology.WORK_QUEUE, hand_back)

    message = await receive(connection, topology.DEAD_QUEUE, ack)

    assert message.body == b"poison"
    assert deliveries == [b"poison"] * (topology.DELIVERY_LIMIT + 1)
    (death,) = message.headers["x-death"]
    assert (death["queue"], death["reason"], death["count"]) == ("deliveries", "delivery_limit", 1)


async def test_a_schedule_change_reaches_every_scheduler(connection):
    channel = await connection.channel()
    exchange = await topology.declare_changes(channel)
    queues = [await channel.declare_queue(exclusive=True, timeout=WAIT_S) for _ in range(2)]
    for queue in queues:
        await queue.bind(exchange, timeout=WAIT_S)

    await exchange.publish(Message(b"changed"), routing_key="", timeout=WAIT_S)

    assert [(await receive_one(queue)).body for queue in queues] == [b"changed"] * 2


async def receive_one(queue: AbstractQueue) -> AbstractIncomingMessage:
    async with asyncio.timeout(WAIT_S), queue.iterator(no_ack=True) as messages:
        return await anext(messages)
