"""Lists of a history that is large enough for plans to matter are answered from indexes."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random

import asyncpg
import pytest

from bench import history
from bench.asking import Asker, Size
from bench.lists import check_plans
from integration.api.serving import api_settings
from tocsin_common.settings import ApiSettings
from tocsin_local.errors import StackError

SIZE = Size(tasks=20_000, executions_a_day=20_000, days=9)
LARGE = 15_000  # rows: fewer than a day's, more than are counted


@pytest.fixture(scope="module")
async def pool(shared_database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Of a database with 200,000 executions and their logs."""
    async with asyncpg.create_pool(shared_database_url, min_size=1, max_size=1) as pool:
        await history.write(pool, SIZE, datetime.now(UTC))
        yield pool


@pytest.fixture
def settings(shared_database_url: str, sealing_keys: str) -> ApiSettings:
    return api_settings(shared_database_url, sealing_keys)


@pytest.fixture
def asker() -> Asker:
    return Asker(Random(1), SIZE, datetime.now(UTC).date())  # noqa: S311 - no secret


async def test_lists_are_answered_from_indexes(pool: asyncpg.Pool, settings: ApiSettings, asker: Asker) -> None:
    assert await pool.fetchval("SELECT count(*) FROM task_logs") > 200_000

    await check_plans(settings, asker, most_rows=LARGE)


@pytest.mark.parametrize(
    ("index", "path", "table"),
    [
        ("task_logs_unsuccessful", "/api/logs?status=", "task_logs_"),
        ("tasks_name", "/api/tasks?search=", "tasks"),
        ("task_logs_created_at", "/api/logs", "task_logs_"),
    ],
)
async def test_list_whose_index_is_missing_is_told(
    pool: asyncpg.Pool, settings: ApiSettings, asker: Asker, index: str, path: str, table: str
) -> None:
    definition = await pool.fetchval("SELECT pg_get_indexdef($1::regclass)", index)
    await pool.execute(f"DROP INDEX {index}")
    try:
        with pytest.raises(StackError, match=rf"^{re.escape(path)}.* reads all of {table}"):
            await check_plans(settings, asker, most_rows=LARGE)
    finally:
        await pool.execute(definition.replace(" ON ONLY ", " ON "))
