"""Hints of changed tasks, on a real broker."""

import asyncio

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractRobustConnection

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
