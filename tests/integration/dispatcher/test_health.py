"""What a process of the dispatcher says of its health, over real HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from relay import Relay
from tocsin_common.settings import SenderSettings
from tocsin_dispatcher.health import Health
from tocsin_dispatcher.metrics import served
from tocsin_dispatcher.scheduler import app as scheduler_app
from tocsin_dispatcher.sender import app as sender_app
from waiting import catch_up, eventually

ALIVE = (200, {"status": "alive"})
READY = (200, {"status": "ready", "postgresql": "ready", "rabbitmq": "connected"})


@pytest.fixture
def port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


async def ask(port: int, what: str) -> tuple[int, dict[str, str]]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        answer = await client.get(f"http://127.0.0.1:{port}/health/{what}")
    return answer.status_code, answer.json()


@asynccontextmanager
async def running(app: Any, settings: Any, port: int) -> AsyncIterator[None]:
    health, stop = Health(asyncio.get_running_loop()), asyncio.Event()
    with served("127.0.0.1", port, health):
        async with asyncio.TaskGroup() as group:
            group.create_task(app.run(settings, stop, health))
            yield
            stop.set()


@pytest.fixture
def settings_of(database_url: str, rabbitmq_url: str, sealing_keys: str, scheduler_settings) -> dict[Any, Any]:
    return {
        scheduler_app: msgspec.structs.replace(scheduler_settings(), rabbitmq_url=rabbitmq_url),
        sender_app: SenderSettings(
            database_url=database_url, rabbitmq_url=rabbitmq_url, sealing_keys=sealing_keys
        ),
    }


@pytest.mark.parametrize("app", [scheduler_app, sender_app])
async def test_a_process_that_is_connected_is_ready(settings_of, port: int, app: Any):
    async with running(app, settings_of[app], port):

        async def is_ready() -> bool:
            return await ask(port, "ready") == READY

        await eventually(is_ready)
        assert await ask(port, "live") == ALIVE


@pytest.mark.parametrize(("variable", "part"), [("database_url", "postgresql"), ("rabbitmq_url", "rabbitmq")])
async def test_who_lost_a_server_lives_and_is_ready_again_when_it_is_back(
    settings_of, port: int, variable: str, part: str
):
    settings = settings_of[sender_app]

    async def is_unready() -> bool:
        status, state = await ask(port, "ready")
        return status == 503 and state[part] == "away"

    async def is_ready() -> bool:
        return await ask(port, "ready") == READY

    async with Relay(getattr(settings, variable)) as relay:
        changed = msgspec.structs.replace(settings, **{variable: relay.url})
        with structlog.testing.capture_logs() as logs:
            async with running(sender_app, changed, port):
                await eventually(has_begun(logs))
                await eventually(is_ready)
                await relay.cut()
                await eventually(is_unready)
                assert await ask(port, "live") == ALIVE
                await relay.restore()
                await eventually(is_ready)


def has_begun(logs: list[Any]) -> Callable[[], Awaitable[bool]]:
    """A sender that is cut off while it starts ends."""

    async def has_begun() -> bool:
        return any(entry["event"] == "sender.consuming" for entry in logs)

    return has_begun


async def test_before_there_is_any_connection_a_process_lives(port: int):
    with served("127.0.0.1", port, Health(asyncio.get_running_loop())):
        assert await ask(port, "live") == ALIVE
        assert (await ask(port, "ready"))[0] == 503


async def test_an_event_loop_that_does_not_turn_is_said_to_be_stuck(port: int):
    with closing(asyncio.new_event_loop()) as idle:
        with served("127.0.0.1", port, Health(idle, turn_timeout_s=0.2)):
            assert await ask(port, "live") == (503, {"status": "stuck"})
        await asyncio.to_thread(catch_up, idle)
