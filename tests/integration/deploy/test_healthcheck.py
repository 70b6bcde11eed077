"""The image's health check, as a process, against what each service answers."""

import asyncio
import sys
from contextlib import closing
from pathlib import Path

import pytest

from e2e.processes import free_port
from environment import INHERITED
from tocsin_dispatcher.health import Health
from tocsin_dispatcher.metrics import served
from waiting import catch_up

SCRIPT = Path(__file__).parents[3] / "deploy" / "images" / "healthcheck.py"


async def check(**variables: str) -> int | None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, SCRIPT, env={**INHERITED, **variables}, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


@pytest.mark.parametrize("variables", [{"TOCSIN_SERVICE": "api"}, {"TOCSIN_SERVICE": "dispatcher"}])
async def test_it_succeeds_where_the_process_lives_and_fails_where_nobody_answers(variables: dict[str, str]):
    port = free_port()
    ports = {"PORT" if variables["TOCSIN_SERVICE"] == "api" else "METRICS_PORT": str(port)}

    with served("127.0.0.1", port, Health(asyncio.get_running_loop())):  # the API answers the same
        alive = await check(**variables, **ports)
    gone = await check(**variables, **ports)

    assert (alive, gone) == (0, 1)


async def test_it_fails_where_the_process_is_stuck():
    port = free_port()

    with closing(asyncio.new_event_loop()) as idle:
        with served("127.0.0.1", port, Health(idle, turn_timeout_s=0.2)):
            status = await check(TOCSIN_SERVICE="dispatcher", METRICS_PORT=str(port))
        await asyncio.to_thread(catch_up, idle)

    assert status == 1
