"""The migrations against the tables that they are meant to make."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tocsin_common import migrations, revisions, tables
from tocsin_common.database import plain_url
from tocsin_common.errors import UnavailableError
from waiting import WAIT_S, eventually

LOCK_KEY = int.from_bytes(b"tocsin")
UPGRADE = "import os; from tocsin_common import migrations; migrations.upgrade(os.environ['DATABASE_URL'])"

# Everything that makes up a schema, as PostgreSQL itself spells it, but for what an extension brings along.
CATALOGUE = """
    SELECT 'table' AS kind, relname::text AS owner, relkind::text AS name,
           COALESCE(pg_get_partkeydef(oid), '') AS definition
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
    UNION ALL
    SELECT 'column', attrelid::regclass::text, attname,
           concat_ws(' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NOT NULL' END,
                     pg_get_expr(adbin, adrelid))
    FROM pg_attribute
    JOIN pg_class c ON c.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT 'function', proname, pg_get_function_identity_arguments(oid), ''
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
    UNION ALL
    SELECT 'type', typname, typtype::text, ''
    FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
"""

INSTANT = datetime(2026, 3, 1, tzinfo=UTC)
ROWS = {
    "task_revisions": {
        "revision": 1,
        "effective_from": INSTANT,
        "status": "ACTIVE",
        "schedule": "* * * * *",
        "timezone": "UTC",
        "destination": "discord.com/1",
    },
    "executions": {
        "scheduled_for": INSTANT,
        "destination": "discord.com/1",
        "next_at": INSTANT,
        "give_up_at": INSTANT,
    },
    "task_logs": {
        "scheduled_for": INSTANT,
        "seq": 1,
        "execution_time": INSTANT,
        "status": "SUCCESS",
        "outcome": "succeeded",
        "retry_count": 0,
        "duration_ms": 1,
        "message": "",
    },
    "task_state": {"failures_in_row": 0, "last_outcome": "gone", "last_scheduled_for": INSTANT},
}


async def catalogue(connection: asyncpg.Connection) -> set[tuple[str, ...]]:
    rows = [row for row in await connection.fetch(CATALOGUE) if "alembic_version" not in row["owner"]]
    # '0'::smallint and 0 are one default in two spellings.
    return {tuple(re.sub(r"'(\d+)'::[a-z ]+$", r"\1", text) for text in row) for row in rows}


@pytest.fixture
async def database(shared_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a migrated database, in a transaction that is rolled back at the end."""
    connection = await asyncpg.connect(shared_database_url)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.fixture
async def empty(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database without tables."""
    connection = await asyncpg.connect(empty_database_url)
    yield connection
    await connection.close()


@pytest.fixture
def engine_of() -> Any:
    def engine_of(database_url: str) -> AsyncEngine:
        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: asyncpg.connect(plain_url(database_url)),
            poolclass=sa.NullPool,
        )

    return engine_of


async def test_the_migrated_tables_are_those_of_the_metadata(database, empty, empty_database_url, engine_of):
    async with engine_of(empty_database_url).begin() as connection:
        await connection.run_sync(tables.metadata.create_all)

    described, migrated = await catalogue(empty), await catalogue(database)

    assert {each for each in migrated if each[0] != "function"} == described


async def test_alembic_sees_nothing_left_to_migrate(shared_database_url, engine_of, monkeypatch):
    monkeypatch.setitem(ischema_names, "xid8", tables.Xid8)

    def compare(connection: sa.Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata)

    async with engine_of(shared_database_url).connect() as connection:
        assert await connection.run_sync(compare) == []


async def test_a_migrated_database_holds_one_lease_and_one_pause_and_nothing_else(database):
    counts = {name: await database.fetchval(f"SELECT count(*) FROM {name}") for name in tables.metadata.tables}  # noqa: S608 - our own names

    assert counts == {**dict.fromkeys(tables.metadata.tables, 0), "scheduler_lease": 1, "scheduler_pause": 1}


async def test_the_lease_stays_one_row(database):
    with pytest.raises(asyncpg.UniqueViolationError):
        async with database.transaction():
            await database.execute("INSERT INTO scheduler_lease DEFAULT VALUES")
    with pytest.raises(asyncpg.CheckViolationError):
        async with database.transaction():
            await database.execute("INSERT INTO scheduler_lease (id) VALUES (false)")


@pytest.mark.parametrize(
    ("table", "column", "known"),
    [
        ("task_revisions", "status", tables.TASK_STATUSES),
        ("executions", "state", tables.OPEN_STATES + tables.TERMINAL_STATES),
        ("executions", "kind", tables.EXECUTION_KINDS),
        ("task_logs", "status", tables.LOG_STATUSES),
        ("task_logs", "outcome", tables.OUTCOMES),
        ("task_state", "last_outcome", tables.OUTCOMES),
    ],
)
async def test_a_column_of_known_words_takes_those_and_no_other(database, table, column, known):
    row = ROWS[table]
    if "scheduled_for" in row:
        await database.execute(f"CREATE TABLE one_day PARTITION OF {table} DEFAULT")

    async def insert(number: int, word: str) -> None:
        values = {**row, "task_id": UUID(int=number), column: word}
        places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
        await database.execute(
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})",  # noqa: S608 - our own names
            *values.values(),
        )

    for number, word in enumerate(known):
        await insert(number, word)
    for word in ("", known[0].swapcase(), "unknown"):
        with pytest.raises(asyncpg.CheckViolationError):
            async with database.transaction():
                await insert(99, word)


async def test_a_downgrade_leaves_nothing_and_an_upgrade_brings_everything_back(
    empty, empty_database_url, database
):
    await migrations.upgrade_async(empty_database_url)
    await empty.execute("CREATE TABLE executions_p1 PARTITION OF executions DEFAULT")
    await empty.execute("CREATE TABLE task_logs_p1 PARTITION OF task_logs DEFAULT")

    await asyncio.to_thread(migrations.downgrade, empty_database_url, "base")

    assert await catalogue(empty) == set()
    assert await empty.fetchval("SELECT count(*) FROM alembic_version") == 0

    await migrations.upgrade_async(empty_database_url)

    assert await catalogue(empty) == await catalogue(database)


async def test_an_upgrade_of_what_is_up_to_date_changes_nothing(database, shared_database_url):
    before = await catalogue(database)
    lease = await database.fetchrow("SELECT * FROM scheduler_lease")

    await migrations.upgrade_async(shared_database_url)

    assert await catalogue(database) == before
    assert await database.fetchrow("SELECT * FROM scheduler_lease") == lease


async def test_a_migrated_database_knows_its_revision(database):
    stamped = await database.fetch("SELECT version_num FROM alembic_version")

    assert [row["version_num"] for row in stamped] == [revisions.known()[0]]


@pytest.mark.parametrize(
    ("scheme", "suffix"), [("postgres", ""), ("postgresql+asyncpg", "?schema=public&sslmode=disable")]
)
async def test_the_urls_of_other_tools_work_for_migrations_too(scheme, suffix, empty, empty_database_url):
    await migrations.upgrade_async(empty_database_url.replace("postgresql", scheme, 1) + suffix)

    assert await empty.fetchval("SELECT count(*) FROM alembic_version") == 1


async def test_processes_that_migrate_at_once_take_turns(empty, empty_database_url, database):
    await empty.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
    environ = {**os.environ, "DATABASE_URL": empty_database_url}
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-W", "error", "-c", UPGRADE, env=environ)
        for _ in range(2)
    ]

    async def both_wait() -> bool:
        waiting = await empty.fetchval(
            """
            SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """
        )
        return bool(waiting == 2)

    await eventually(both_wait)
    assert await catalogue(empty) == set()

    await empty.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)
    async with asyncio.timeout(WAIT_S):
        codes = [await process.wait() for process in processes]

    assert codes == [0, 0]
    assert await catalogue(empty) == await catalogue(database)
    assert await empty.fetchval("SELECT count(*) FROM scheduler_lease") == 1


async def test_a_migration_does_not_wait_for_long_behind_another_transaction(empty, empty_database_url, database):
    oldest = revisions.known()[-1]
    await asyncio.to_thread(migrations.upgrade, empty_database_url, oldest)
    before = await catalogue(empty)
    reading = empty.transaction()
    await reading.start()
    await empty.execute("SELECT FROM tasks, executions")

    with pytest.raises(UnavailableError, match=r"a table .* for more than 0\.2 s\. Nothing was changed"):
        await asyncio.to_thread(migrations.upgrade, empty_database_url, lock_timeout_s=0.2)

    await reading.rollback()
    assert await empty.fetchval("SELECT version_num FROM alembic_version") == oldest
    assert await catalogue(empty) == before
    await migrations.upgrade_async(empty_database_url)
    assert await catalogue(empty) == await catalogue(database)


async def test_a_migration_that_cannot_connect_says_nothing_of_the_password(closed_port):
    with pytest.raises(OSError, match="Connect call failed") as caught:
        await migrations.upgrade_async(f"postgresql://user:password@127.0.0.1:{closed_port}/name")

    assert "password" not in repr(caught.value)
