"""RabbitMQ crashes in the middle of a burst and comes back with what it had confirmed.

The database was there all the time, so whoever got an answer recorded it: nothing is posted twice.
"""

from collections.abc import Iterator

import pytest

from faults.burst import Burst
from faults.conftest import StartCast
from faults.own_servers import OwnServer, own_server
from faults.witness import Witness
from tocsin_local.receiver import Receiver


@pytest.fixture
def broker(database_url: str) -> Iterator[OwnServer]:
    """A broker of the test's own."""
    with own_server("rabbitmq", {"DATABASE_URL": database_url}) as server:
        yield server


@pytest.fixture
def rabbitmq_url(broker: OwnServer) -> str:
    return broker.urls.rabbitmq_url


@pytest.mark.parametrize("burst", [1000], indirect=True)
async def test_a_broker_that_crashes_in_mid_burst_loses_nothing_and_doubles_nothing(
    burst: Burst, witness: Witness, start_cast: StartCast, broker: OwnServer, receiver: Receiver
):
    leader, _, sender = await start_cast()
    await burst.begin_until_frozen(leader)
    await receiver.wait_for_answers(1)

    await broker.crash()
    leader.thaw()
    assert 0 < len(receiver.posts) < burst.size
    await broker.restart()
    await burst.settled()

    assert await sender.stop() == 0
    assert await burst.problems() == []
    assert await witness.strangers() == []
