"""Connections to PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
from structlog.testing import capture_logs

from logins import as_service
from relay import Relay
from tocsin_common import migrations, revisions
from tocsin_common.database import (
    CONNECTION_ERRORS,
    DATA_ERRORS,
    is_migrated,
    open_pool,
    wait_until_migrated,
)
from tocsin_common.errors import UnavailableError
from waiting import WAIT_S, eventually

SLEEPS = """
    SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())
"""
WAKE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE wait_event = 'PgSleep' AND datname = current_database()
"""


@pytest.fixture
async def database(shared_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to look on by."""
    connection = await asyncpg.connect(shared_database_url)
    yield connection
    await connection.close()


async def test_connections_show_under_their_name_and_are_set_up_alike(shared_database_url):
    async with await open_pool(shared_database_url, size=4, name="tocsin-test", timeout_s=WAIT_S) as pool:
        shown = await pool.fetch(
            """
            SELECT name, setting FROM pg_settings
            WHERE name IN ('application_name', 'TimeZone', 'idle_in_transaction_session_timeout',
                           'tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count')
            """
        )
        names = await pool.fetch(
            "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database()"
        )

    assert dict(shown) == {
        "TimeZone": "UTC",
        "application_name": "tocsin-test",
        "idle_in_transaction_session_timeout": "2000",
        "tcp_keepalives_count": "3",
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
    }
    assert [row["application_name"] for row in names] == ["tocsin-test"]


async def test_a_database_that_is_not_there_is_not_waited_for(shared_database_url):
    with pytest.raises(UnavailableError, match='refuses the connection: database "nowhere" does not exist'):
        await open_pool(f"{shared_database_url.rpartition('/')[0]}/nowhere", size=4, name="test", timeout_s=60)


async def test_a_pool_opens_no_more_connections_than_it_may(shared_database_url):
    async with await open_pool(shared_database_url, size=3, name="tocsin-test", timeout_s=WAIT_S) as pool:
        together = asyncio.Barrier(3)

        async def use() -> int:
            async with pool.acquire() as connection:
                async with asyncio.timeout(WAIT_S):
                    await together.wait()
                return await connection.fetchval("SELECT pg_backend_pid()")

        pids = await asyncio.gather(*[use() for _ in range(6)])

    assert len(set(pids)) == 3


@pytest.mark.parametrize(
    ("scheme", "suffix"),
    [
        ("postgresql", "?schema=public"),
        ("postgresql", "?schema=public&sslmode=disable"),
        ("postgres", ""),
        ("postgresql+asyncpg", "?schema=public"),
    ],
)
async def test_the_urls_of_other_tools_work(scheme, suffix, shared_database_url):
    url = shared_database_url.replace("postgresql", scheme, 1) + suffix

    async with await open_pool(url, size=2, name="tocsin-test", timeout_s=WAIT_S) as pool:
        assert await pool.fetchval("SELECT 1") == 1


@pytest.mark.parametrize("timeout_s", [0, 0.3])
async def test_a_database_that_is_away_is_unavailable_within_the_bound(timeout_s, closed_port):
    url = f"postgresql://user:password@127.0.0.1:{closed_port}/name"
    started = time.monotonic()

    with capture_logs(), pytest.raises(UnavailableError) as caught:
        await open_pool(url, size=2, name="tocsin-test", timeout_s=timeout_s)

    assert timeout_s <= time.monotonic() - started < timeout_s + 2
    assert str(caught.value).startswith(f"PostgreSQL did not answer within {timeout_s} s: ")
    assert "password" not in str(caught.value)


async def test_a_database_that_comes_late_is_connected_to(shared_database_url):
    async def any_of(lines: list[object]) -> bool:
        return bool(lines)

    with capture_logs() as lines:
        async with Relay(shared_database_url) as relay:
            await relay.cut()
            opening = asyncio.create_task(open_pool(relay.url, size=2, name="tocsin-test", timeout_s=WAIT_S))
            await eventually(lambda: any_of(lines))

            await relay.restore()

            async with await opening as pool:
                assert await pool.fetchval("SELECT 1") == 1
    assert {line["event"] for line in lines} == {"database.unavailable"}


async def test_a_connection_that_breaks_raises_one_of_the_connection_errors(shared_database_url, database):
    async with Relay(shared_database_url) as relay:
        pool = await open_pool(relay.url, size=2, name="tocsin-test", timeout_s=WAIT_S)
        asking = asyncio.create_task(pool.fetchval("SELECT pg_sleep(30)"))
        await eventually(lambda: database.fetchval(SLEEPS))

        await relay.cut()

        with pytest.raises(CONNECTION_ERRORS):
            await asking
        with pytest.raises(CONNECTION_ERRORS):
            await pool.fetchval("SELECT 1")
        pool.terminate()
    await database.execute(WAKE)


async def test_a_connection_that_the_server_ends_raises_one_of_the_connection_errors(
    shared_database_url, database
):
    async with await open_pool(shared_database_url, size=2, name="tocsin-test", timeout_s=WAIT_S) as pool:
        asking = asyncio.create_task(pool.fetchval("SELECT pg_sleep(30)"))
        await eventually(lambda: database.fetchval(SLEEPS))

        await database.execute(WAKE)

        with pytest.raises(CONNECTION_ERRORS):
            await asking


@pytest.mark.parametrize("value", ["no number", 2**63, -(2**63) - 1])
async def test_a_value_that_cannot_be_sent_raises_one_of_the_data_errors(value, database):
    with pytest.raises(DATA_ERRORS):
        await database.fetchval("SELECT $1::bigint", value)


async def test_a_text_that_cannot_be_stored_raises_one_of_the_data_errors(database):
    with pytest.raises(DATA_ERRORS):
        await database.fetchval("SELECT $1::text", "a\0b")


async def test_a_database_without_tables_is_not_migrated(empty_database_url):
    async with await open_pool(empty_database_url, size=2, name="tocsin-test", timeout_s=WAIT_S) as pool:
        assert not await is_migrated(pool)

        with capture_logs(), pytest.raises(UnavailableError, match="run `tocsin-api migrate`"):
            await wait_until_migrated(pool, timeout_s=0)


async def test_a_migrated_database_is_not_waited_for(shared_database_url):
    async with await open_pool(shared_database_url, size=2, name="tocsin-test", timeout_s=WAIT_S) as pool:
        await wait_until_migrated(pool, timeout_s=0)

        assert await is_migrated(pool)


@pytest.mark.parametrize(("revision", "is_enough"), [(revisions.known()[1], False), ("9999", True)])
async def test_tables_of_an_older_release_are_not_enough_and_those_of_a_newer_one_are(
    database_url, revision, is_enough
):
    async with await open_pool(database_url, size=2, name="tocsin-test", timeout_s=WAIT_S) as pool:
        await pool.execute("UPDATE alembic_version SET version_num = $1", revision)

        assert await is_migrated(pool) == is_enough


async def test_tables_that_a_service_may_not_read_yet_are_not_enough(database_url, servers):
    async with await open_pool(database_url, size=2, name="tocsin-test", timeout_s=WAIT_S) as owner:
        await owner.execute("REVOKE ALL ON alembic_version FROM tocsin_sender")
    as_sender = as_service(database_url, servers, "send")

    async with await open_pool(as_sender, size=2, name="tocsin-test", timeout_s=WAIT_S) as pool:
        assert not await is_migrated(pool)


async def test_whoever_waits_for_the_tables_goes_on_once_they_are_there(empty_database_url):
    async with await open_pool(empty_database_url, size=2, name="tocsin-test", timeout_s=WAIT_S) as pool:
        with capture_logs() as lines:
            waiting = asyncio.create_task(wait_until_migrated(pool, timeout_s=WAIT_S))

            await migrations.upgrade_async(empty_database_url)

            async with asyncio.timeout(WAIT_S):
                await waiting
    assert {line["event"] for line in lines} <= {"database.not_migrated"}
