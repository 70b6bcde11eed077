"""What each service's user may do in PostgreSQL, and what it may not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import product

import asyncpg
import pytest

from logins import SERVICES, as_service
from tocsin_common import migrations
from tocsin_common.rights import API, OWNER, RIGHTS, SCHEDULER, SENDER, functions
from tocsin_common.tables import metadata
from tocsin_local.urls import StackUrls

TASK_OF = {API: "serve", SCHEDULER: "schedule", SENDER: "send"}
OF_COLUMNS = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
KINDS = (*OF_COLUMNS, "DELETE", "TRUNCATE", "TRIGGER")
CALLS = {
    "fail_tasks": "fail_tasks('{}', '{}', '{}')",
    "finish_tasks": "finish_tasks('{}', '{}', '{}')",
    "disown_revisions": "disown_revisions()",
    "forget_tasks": "forget_tasks('{}')",
    "make_partitions": "make_partitions('2026-03-01')",
    "drop_partitions": "drop_partitions('2026-03-01')",
    "first_under_way": "first_under_way('{}', '{}')",
    "judge_replays": "judge_replays(now())",
    "replay_executions": "replay_executions('{}', '{}', now(), now(), '1 s', '1 day')",
    "add_manual_execution": "add_manual_execution(gen_random_uuid(), 'discord.com/1', '1 day')",
}
# What nobody but the owner may do, and no service may do though another may.
BEYOND = [
    (API, "DELETE FROM tasks"),
    (API, "SELECT xid FROM task_revisions"),
    (API, "UPDATE task_revisions SET status = 'ACTIVE'"),
    (API, "UPDATE executions SET state = 'waiting'"),
    (API, "INSERT INTO executions SELECT * FROM executions"),
    (API, "DELETE FROM task_logs"),
    (API, "UPDATE scheduler_lease SET epoch = 0"),
    (API, "SELECT * FROM destinations"),
    (SCHEDULER, "SELECT webhook_url_sealed FROM tasks"),
    (SCHEDULER, "SELECT payload FROM tasks"),
    (SCHEDULER, "SELECT * FROM tasks"),
    (SCHEDULER, "UPDATE tasks SET status = 'ACTIVE'"),
    (SCHEDULER, "INSERT INTO task_revisions SELECT * FROM task_revisions"),
    (SCHEDULER, "UPDATE scheduler_pause SET paused_at = NULL"),
    (SCHEDULER, "DELETE FROM tasks"),
    (SCHEDULER, "SELECT * FROM task_logs"),
    (SCHEDULER, "SELECT * FROM idempotency_keys"),
    (SENDER, "SELECT name FROM tasks"),
    (SENDER, "UPDATE tasks SET payload = '{}'"),
    (SENDER, "INSERT INTO executions SELECT * FROM executions"),
    (SENDER, "DELETE FROM executions"),
    (SENDER, "SELECT * FROM task_logs"),
    (SENDER, "UPDATE task_logs SET message = ''"),
    (SENDER, "SELECT * FROM scheduler_lease"),
    (SENDER, "SELECT * FROM task_revisions"),
    (SENDER, "SELECT * FROM idempotency_keys"),
    *product(
        RIGHTS,
        [
            "CREATE TABLE a ()",
            "CREATE FUNCTION a() RETURNS void LANGUAGE sql AS ''",
            "TRUNCATE executions",
            "DROP TABLE tasks",
            "ALTER TABLE executions ENABLE ROW LEVEL SECURITY",
            "UPDATE alembic_version SET version_num = ''",
            f"SET ROLE {OWNER}",
        ],
    ),
]
As = Callable[[str], Awaitable[asyncpg.Connection]]


@pytest.fixture
async def as_user(shared_database_url: str, servers: StackUrls) -> AsyncIterator[As]:
    """Connects as a service's user."""
    connections: list[asyncpg.Connection] = []

    async def connect(user: str) -> asyncpg.Connection:
        connections.append(await asyncpg.connect(as_service(shared_database_url, servers, TASK_OF[user])))
        return connections[-1]

    yield connect
    for connection in connections:
        await connection.close()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def test_every_service_has_a_user() -> None:
    assert {f"tocsin_{service}" for service in SERVICES.values()} == set(RIGHTS) == set(TASK_OF)


@pytest.mark.parametrize(("user", "statement"), BEYOND)
async def test_a_service_may_not(as_user: As, user: str, statement: str) -> None:
    connection = await as_user(user)

    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError)):
        await connection.execute(statement)


@pytest.mark.parametrize(("user", "function"), list(product(RIGHTS, CALLS)))
async def test_a_service_calls_its_functions_and_no_other(as_user: As, user: str, function: str) -> None:
    connection = await as_user(user)
    is_its_own = any("EXECUTE" in right and function in right for right in RIGHTS[user])

    async def call() -> None:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(f"SELECT * FROM {CALLS[function]}")  # noqa: S608 - constants
        except asyncpg.CheckViolationError:
            pass  # no partition: it got that far
        finally:
            await transaction.rollback()

    if is_its_own:
        await call()
    else:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=function):
            await call()


async def test_nobody_may_do_anything_with_a_table_but_what_is_listed(shared_database_url: str) -> None:
    """Whatever was added: a new table, too, has to be listed before a service may use it."""
    async with connected(shared_database_url) as owner:

        async def may(user: str, table: str, kind: str) -> bool:
            scope = "any_column" if kind in OF_COLUMNS else "table"
            question = f"SELECT has_{scope}_privilege($1, $2, $3)"
            return bool(await owner.fetchval(question, user, table, kind))

        places = product(RIGHTS, [*metadata.tables, "alembic_version"], KINDS)
        found = {place for place in places if await may(*place)}

    assert found == {
        (user, table, kind)
        for user, rights in RIGHTS.items()
        for right in rights
        if not right.startswith("EXECUTE")
        for table in right.partition(" ON ")[2].split(", ")
        for kind in KINDS
        if kind in right
    }


async def test_public_may_call_no_function_and_those_with_the_owners_rights_look_in_pg_temp_last(
    shared_database_url: str,
) -> None:
    async with connected(shared_database_url) as owner:
        rows = await owner.fetch(
            """
            SELECT proname, prosecdef, proconfig, has_function_privilege('public', oid, 'EXECUTE') AS is_public
            FROM pg_proc f WHERE pronamespace = 'public'::regnamespace
                AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = f.oid AND d.deptype = 'e')
            """
        )

    assert {row["proname"] for row in rows} == set(functions()) == set(CALLS)
    assert not [row["proname"] for row in rows if row["is_public"]]
    powerful = [row for row in rows if row["prosecdef"]]
    assert not [row["proname"] for row in powerful if "search_path=public, pg_temp" not in row["proconfig"]]


async def test_a_temporary_table_of_a_callers_is_not_taken_for_one_of_ours(
    database_url: str, servers: StackUrls
) -> None:
    async with connected(as_service(database_url, servers, "send")) as sender:
        await sender.execute("CREATE TEMPORARY TABLE tasks (id uuid)")

        assert await sender.fetch("SELECT fail_tasks('{}', '{}', '{}')") == []


async def test_a_migration_takes_rights_away_that_are_not_listed(database_url: str, servers: StackUrls) -> None:
    async with connected(database_url) as owner:
        await owner.execute(f"GRANT SELECT, DELETE ON tasks TO {SENDER}")

        await migrations.upgrade_async(database_url)

        assert not await owner.fetchval("SELECT has_table_privilege($1, 'tasks', 'SELECT, DELETE')", SENDER)
        assert await owner.fetchval("SELECT has_column_privilege($1, 'tasks', 'payload', 'SELECT')", SENDER)


async def test_rights_are_granted_while_partitions_are_made(database_url: str, servers: StackUrls) -> None:
    async with connected(as_service(database_url, servers, "schedule")) as scheduler:

        async def make() -> None:
            for day in range(1, 29):
                await scheduler.execute(f"SELECT make_partitions('2026-02-{day:02}')")

        async def migrate() -> None:
            for _ in range(3):
                await migrations.upgrade_async(database_url)

        await asyncio.gather(make(), migrate())

        assert await scheduler.fetchval("SELECT count(*) FROM executions") == 0
