"""Who lets others lead while RabbitMQ is away, and when."""

import asyncio

import pytest

from tocsin_common.settings import SchedulerSettings
from tocsin_dispatcher.scheduler import reach
from tocsin_dispatcher.scheduler.reach import CutOffError, NeverReachedError, free_for_s, yield_when_cut_off


@pytest.fixture
def connected() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has had RabbitMQ in its term yields soon, and who has not would wait for longer than a test."""
    monkeypatch.setattr(reach, "YIELD_AFTER_S", 0.05)
    monkeypatch.setattr(reach, "LOOK_S", 0.01)


def settings(**waits: float) -> SchedulerSettings:
    return SchedulerSettings(database_url="postgresql://nowhere", rabbitmq_url="amqp://nowhere", **waits)


async def test_a_leader_whose_connection_goes_lets_another_one_lead(connected: asyncio.Event):
    connected.set()
    watching = asyncio.create_task(yield_when_cut_off(connected))
    await asyncio.sleep(0)

    connected.clear()

    with pytest.raises(CutOffError, match="RabbitMQ has been away"):
        await asyncio.wait_for(watching, 5)


async def test_one_that_began_without_a_connection_yields_once_it_has_had_one(connected: asyncio.Event):
    watching = asyncio.create_task(yield_when_cut_off(connected))
    done, _ = await asyncio.wait({watching}, timeout=0.2)
    assert not done

    connected.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    connected.clear()

    with pytest.raises(CutOffError) as raised:
        await asyncio.wait_for(watching, 5)
    assert not isinstance(raised.value, NeverReachedError)


async def test_one_that_never_has_a_connection_lets_others_try_now_and_then(
    connected: asyncio.Event, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reach, "YIELD_AGAIN_S", 0.05)

    with pytest.raises(NeverReachedError, match="RabbitMQ has been away"):
        await asyncio.wait_for(yield_when_cut_off(connected), 5)


@pytest.mark.parametrize(
    ("is_connected", "waits", "expected_s"),
    [
        pytest.param(True, {}, 0.0, id="who reaches RabbitMQ takes it at once"),
        pytest.param(False, {}, 2.5, id="who does not lets others ask ten times"),
        pytest.param(False, {"standby_poll_s": 30.0}, 30.0, id="but never until scheduling starts anew"),
    ],
)
def test_a_free_lease_is_left_to_those_who_reach_rabbitmq(
    connected: asyncio.Event, is_connected: bool, waits: dict[str, float], expected_s: float
):
    if is_connected:
        connected.set()

    assert free_for_s(connected, settings(**waits)) == expected_s
