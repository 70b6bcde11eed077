"""Hints of changed tasks, on a real broker."""

import asyncio

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractRobustConnection

from integration.dispatcher.operators import hinder
from tocsin_common import topology
from tocsin_dispatcher.scheduler import hints
from waiting import WAIT_S


@pytest.mark.parametrize("body", [b'{"version": 1}', b'{"version": 2, "tasks": []}', b"no JSON", b""])
async def test_a_hint_wakes_the_scheduler_whatever_release_wrote_it(
    connection: AbstractRobustConnection, body: bytes
):
    wake = asyncio.Event()
    await hints.listen(connection, wake, process="tocsin-scheduler@host:1")
    exchange = await topology.declare_changes(await connection.channel())

    await exchange.publish(Message(body), routing_key="")

    await asyncio.wait_for(wake.wait(), WAIT_S)


async def test_hints_are_heard_again_when_what_kept_the_channel_from_being_opened_again_is_gone(
    connection: AbstractRobustConnection, operator: AbstractChannel
):
    wake = asyncio.Event()
    await hints.listen(connection, wake, process="tocsin-scheduler@host:1")
    [channel] = connection._RobustConnection__channels  # type: ignore[attr-defined]  # nobody else has it

    await hinder(operator, channel, topology.CHANGES_EXCHANGE)
    await operator.exchange_delete(topology.CHANGES_EXCHANGE)

    async with asyncio.timeout(WAIT_S):
        await channel.ready()
        exchange = await operator.get_exchange(topology.CHANGES_EXCHANGE, ensure=False)
        await exchange.publish(Message(b""), routing_key="")
        await wake.wait()
