"""Processes that start before their servers are there."""

import pytest

from e2e.processes import free_port


@pytest.mark.parametrize("role", ["schedule", "send"])
async def test_sigterm_ends_a_start_that_waits_for_a_server(start, role):
    away = f"amqp://127.0.0.1:{free_port()}/"
    process = await start("tocsin-dispatcher", role, RABBITMQ_URL=away)
    await process.logged("broker.unavailable")

    status = await process.stop()

    assert status == 0
