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
SCHEMATHESIS = str(Path(sys.executable).parent / "schemathesis")
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


@pytest.mark.timeout(TIMEOUT_S)
async def test_api_does_what_its_document_says(
    api: tuple[Tocsin, str], settings: ApiSettings, tmp_path: Path
) -> None:
    process, url = api
    async with Receiver() as receiver:
        webhook = receiver.add().url
        schemathesis = await asyncio.create_subprocess_exec(
            *(SCHEMATHESIS, "--config-file", HERE / "schemathesis.toml"),
            *("run", f"{url}/api/docs-json", "--checks", "all", "--seed", SEED, "--max-examples", EXAMPLES),
            *("--header", f"X-API-KEY:{settings.api_key}", "--generation-database", "none", "--no-color"),
            env={
                **INHERITED,
                "PYTHONPATH": str(HERE),
                "SCHEMATHESIS_HOOKS": "hooks",
                "CONTRACT_WEBHOOK_URL": webhook,
            },
            cwd=tmp_path,
            stdout=PIPE,
            stderr=STDOUT,
        )
        output, _ = await schemathesis.communicate()

    text = output.decode()
    verified = {line["destination"] for line in process.all_logged("webhook.verified")}
    assert schemathesis.returncode == 0, text
    assert not process.all_logged("request.failed")
    assert all(destination.startswith(f"http://127.0.0.1:{receiver.port}/") for destination in verified)
    assert receiver.posts == []
