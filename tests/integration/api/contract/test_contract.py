"""The API held against its own document by schemathesis: a real process, asked over a real socket.

CONTRACT_EXAMPLES and CONTRACT_SEED make a longer run, or another one.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from e2e.processes import Tocsin, free_port
from environment import INHERITED
from integration.api.owed import make_partitions
from tocsin_common.settings import ApiSettings
from tocsin_local.receiver import Receiver

HERE = Path(__file__).parent
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
EXAMPLES = os.environ.get("CONTRACT_EXAMPLES", "5")  # of each operation, and as many walks along the links
SEED = os.environ.get("CONTRACT_SEED", "1")
TIMEOUT_S = 300 + 30 * int(EXAMPLES)


@pytest.fixture
async def api(settings: ApiSettings, database: asyncpg.Connection) -> AsyncIterator[tuple[Tocsin, str]]:
    """A process, and where it listens. Nobody sends what it is asked to run, and nobody waits long for that."""
    await make_partitions(database)
    port = free_port()
    environment = {
        "PORT": str(port),
        "DATABASE_URL": settings.database_url,
        "RABBITMQ_URL": settings.rabbitmq_url,
        "SEALING_KEYS": settings.sealing_keys,
        "API_KEY": settings.api_key,
        "ADDRESS_RATE_LIMIT_PER_MINUTE": "0",
        "ALLOW_LOCAL_WEBHOOKS": "1",
        "TEST_WAIT_S": "0.05",
    }
    process = await Tocsin.start("tocsin-api", "serve", env=environment)
    await process.logged("api.started")
    yield process, f"http://127.0.0.1:{port}"
    assert await process.stop() == 0


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


async def hold_against_its_document(url: str, webhook_url: str, api_key: str, folder: Path) -> tuple[int, str]:
    """Schemathesis' exit status, and what it tells."""
    process = await asyncio.create_subprocess_exec(
        *(SCHEMATHESIS, "--config-file", HERE / "schemathesis.toml", "run", f"{url}/api/docs-json"),
        *("--seed", SEED, "--max-examples", EXAMPLES, "--header", f"X-API-KEY:{api_key}", "--no-color"),
        env={
            **INHERITED,
            "PYTHONPATH": str(HERE),
            "SCHEMATHESIS_HOOKS": "hooks",
            "CONTRACT_WEBHOOK_URL": webhook_url,
        },
        cwd=folder,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.timeout(TIMEOUT_S)
async def test_api_does_what_its_document_says(
    api: tuple[Tocsin, str], receiver: Receiver, settings: ApiSettings, tmp_path: Path
) -> None:
    process, url = api

    status, told = await hold_against_its_document(url, receiver.add().url, settings.api_key, tmp_path)

    asked = [line["destination"] for line in process.all_logged("webhook.verified")]
    assert status == 0, told
    assert not process.all_logged("request.failed")
    assert asked
    assert all(destination.startswith(f"http://127.0.0.1:{receiver.port}/") for destination in asked)
    assert receiver.posts == []
