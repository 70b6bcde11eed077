"""`rotate-keys`: what it does to tasks, while others change them, and what it leaves where it cannot go on."""

import asyncio
import base64
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from structlog.testing import capture_logs

from environment import INHERITED
from integration.api.serving import api_settings, serve
from tocsin_api.rotation import Rotated, rotate
from tocsin_common.sealing import KEY_BYTES, Sealer
from waiting import WAIT_S, eventually

COMMAND = Path(sys.executable).parent / "tocsin-api"
OLD, NEW, LOST = (bytes([n]) * KEY_BYTES for n in (1, 2, 3))
BOTH = Sealer([NEW, OLD])
STATUSES = ("ACTIVE", "INACTIVE", "FAILED", "DELETED")

Add = Callable[..., Awaitable[list[UUID]]]


def setting(*keys: bytes) -> str:
    return ",".join(base64.b64encode(key).decode() for key in keys)


def url(number: int) -> str:
    return f"https://discord.com/api/webhooks/{number}/token-{number}"


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's connection."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def add_tasks(database: asyncpg.Connection) -> Add:
    """Write tasks with the ids 1, 2, 3 …, each with a URL of its own."""

    async def add(
        count: int, *, key: bytes = OLD, first: int = 1, statuses: tuple[str, ...] = STATUSES
    ) -> list[UUID]:
        sealer = Sealer([key])
        ids = [UUID(int=number) for number in range(first, first + count)]
        await database.executemany(
            """
            INSERT INTO tasks (id, name, schedule, webhook_url_sealed, webhook_url_hash, webhook_url_masked,
                               destination, payload, max_retry, status, revision, effective_from, created_at,
                               updated_at)
            VALUES ($1, 'a task', '0 9 * * *', $2, $3, 'masked', 'discord.com/1', '{"content": "hello"}', 3, $4, 7,
                    '2026-03-01Z', '2026-03-01Z', '2026-03-02Z')
            """,
            [
                (id_, sealer.seal(url(id_.int), context=id_.bytes), sealer.hash(url(id_.int)),
                 statuses[id_.int % len(statuses)])
                for id_ in ids
            ],
        )  # fmt: skip
        return ids

    return add


async def urls(database: asyncpg.Connection, *keys: bytes) -> dict[UUID, str]:
    """What these keys open, with the hash of the same key."""
    sealer = Sealer(list(keys))
    rows = await database.fetch("SELECT id, webhook_url_sealed, webhook_url_hash FROM tasks ORDER BY id")
    opened = {row["id"]: sealer.open(row["webhook_url_sealed"], context=row["id"].bytes) for row in rows}
    assert [row["webhook_url_hash"] for row in rows] == [sealer.hash(text) for text in opened.values()]
    return opened


async def under_first_key(database: asyncpg.Connection) -> list[UUID]:
    rows = await database.fetch("SELECT id, webhook_url_sealed FROM tasks ORDER BY id")
    return [row["id"] for row in rows if row["webhook_url_sealed"].startswith(BOTH.first_id)]


async def waits_for_a_lock(connection: asyncpg.Connection) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
    )


async def change_url(connection: asyncpg.Connection, task_id: UUID, text: str, sealer: Sealer = BOTH) -> None:
    """As a client's change does."""
    sealed, url_hash = sealer.seal(text, context=task_id.bytes), sealer.hash(text)
    statement = "UPDATE tasks SET webhook_url_sealed = $2, webhook_url_hash = $3 WHERE id = $1"
    await connection.execute(statement, task_id, sealed, url_hash)


@pytest.mark.parametrize("page", [1, 3, 4, 10, 11])
async def test_every_task_is_under_the_first_key_afterwards_and_opens_without_the_others(
    page: int, pool: asyncpg.Pool, database: asyncpg.Connection, add_tasks: Add
) -> None:
    ids = await add_tasks(10)

    rotated = await rotate(pool, BOTH, page=page)

    assert rotated == Rotated(resealed=10, not_opened=0, left=0)
    assert await urls(database, NEW) == {id_: url(id_.int) for id_ in ids}


async def test_nothing_else_of_a_task_changes(
    pool: asyncpg.Pool, database: asyncpg.Connection, add_tasks: Add
) -> None:
    await add_tasks(4)
    question = """
        SELECT to_jsonb(t) - 'webhook_url_sealed' - 'webhook_url_hash' AS rest,
               (SELECT count(*) FROM task_revisions)
        FROM tasks t ORDER BY id
    """
    before = await database.fetch(question)

    await rotate(pool, BOTH)

    assert await database.fetch(question) == before


async def test_what_the_first_key_sealed_is_left_alone(
    pool: asyncpg.Pool, database: asyncpg.Connection, add_tasks: Add
) -> None:
    await add_tasks(5)
    await add_tasks(5, key=NEW, first=6)
    question = "SELECT xmin, webhook_url_sealed FROM tasks WHERE id >= $1 ORDER BY id"
    before = await database.fetch(question, UUID(int=6))

    rotated = await rotate(pool, BOTH, page=3)
    again = await rotate(pool, BOTH, page=3)

    assert (rotated.resealed, again.resealed) == (5, 0)
    assert await database.fetch(question, UUID(int=6)) == before


async def test_a_url_that_a_client_sends_meanwhile_stays(
    pool: asyncpg.Pool, database: asyncpg.Connection, other: asyncpg.Connection, add_tasks: Add
) -> None:
    ids = await add_tasks(3)
    async with other.transaction():
        await change_url(other, ids[1], url(99))
        rotating = asyncio.create_task(rotate(pool, BOTH))
        await eventually(lambda: waits_for_a_lock(database))

    async with asyncio.timeout(WAIT_S):
        rotated = await rotating
    assert rotated == Rotated(resealed=2, not_opened=0, left=0)
    assert list((await urls(database, NEW)).values()) == [url(1), url(99), url(3)]


async def test_a_url_that_an_api_with_another_first_key_took_is_told_of(
    pool: asyncpg.Pool, database: asyncpg.Connection, other: asyncpg.Connection, add_tasks: Add
) -> None:
    ids = await add_tasks(3)
    async with other.transaction():
        await change_url(other, ids[1], url(99), Sealer([OLD]))
        rotating = asyncio.create_task(rotate(pool, BOTH))
        await eventually(lambda: waits_for_a_lock(database))

    async with asyncio.timeout(WAIT_S):
        first = await rotating
    again = await rotate(pool, BOTH)
    assert (first.left, again) == (1, Rotated(resealed=1, not_opened=0, left=0))
    assert list((await urls(database, NEW)).values()) == [url(1), url(99), url(3)]


async def test_clients_that_change_urls_all_the_while_lose_none(
    pool: asyncpg.Pool, database: asyncpg.Connection, database_url: str, add_tasks: Add
) -> None:
    ids = await add_tasks(200, statuses=("ACTIVE",))
    wanted = {id_: url(id_.int + 1000 if id_.int % 2 else id_.int) for id_ in ids}
    async with serve(api_settings(database_url, setting(NEW, OLD))) as client:

        async def change(numbers: range) -> None:
            for number in numbers:
                path, changed = f"/api/tasks/{UUID(int=number)}", url(number + 1000)
                assert (await client.patch(path, json={"webhookUrl": changed})).status_code == 200

        _, rotated, _ = await asyncio.gather(
            change(range(1, 100, 2)), rotate(pool, BOTH, page=5), change(range(199, 100, -2))
        )

    assert (rotated.not_opened, rotated.left) == (0, 0)
    assert await urls(database, NEW) == wanted


async def test_a_rotation_that_was_broken_off_keeps_what_it_did_and_goes_on_from_there(
    pool: asyncpg.Pool, database: asyncpg.Connection, other: asyncpg.Connection, add_tasks: Add
) -> None:
    ids = await add_tasks(10)
    async with other.transaction():
        await other.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", ids[7])
        rotating = asyncio.create_task(rotate(pool, BOTH, page=3))
        await eventually(lambda: waits_for_a_lock(database))
        rotating.cancel()
        await asyncio.wait([rotating])
    kept = await under_first_key(database)

    rotated = await rotate(pool, BOTH, page=3)

    assert kept == ids[:6]
    assert rotated == Rotated(resealed=4, not_opened=0, left=0)
    assert await urls(database, NEW) == {id_: url(id_.int) for id_ in ids}


async def test_two_rotations_at_once_do_not_get_in_each_others_way(
    pool: asyncpg.Pool, database: asyncpg.Connection, add_tasks: Add
) -> None:
    ids = await add_tasks(100)

    async with asyncio.timeout(WAIT_S):
        one, two = await asyncio.gather(rotate(pool, BOTH, page=7), rotate(pool, BOTH, page=10))

    assert one.resealed + two.resealed == 100
    assert await urls(database, NEW) == {id_: url(id_.int) for id_ in ids}


async def test_what_no_key_opens_is_named_and_the_rest_goes_on(
    pool: asyncpg.Pool, database: asyncpg.Connection, add_tasks: Add
) -> None:
    await add_tasks(2)
    lost = await add_tasks(2, key=LOST, first=3, statuses=("ACTIVE", "INACTIVE"))
    await add_tasks(1, first=5)
    moved = UUID(int=5)
    await database.execute("UPDATE tasks SET id = $1 WHERE id = $2", UUID(int=6), moved)

    with capture_logs() as log:
        rotated = await rotate(pool, BOTH, page=2)

    assert rotated == Rotated(resealed=2, not_opened=3, left=3)
    named = {line["task_id"]: line["reason"] for line in log if line["event"] == "task.not_opened"}
    missing = f"no key with the id {Sealer([LOST]).key_ids[0]} is in SEALING_KEYS: add the key"
    assert named.keys() == {str(id_) for id_ in [*lost, UUID(int=6)]}
    assert all(named[str(id_)].startswith(missing) for id_ in lost)
    assert named[str(UUID(int=6))].startswith("the sealed value was changed, or belongs to another task")


async def test_a_deleted_task_that_no_key_opens_holds_nothing_up(pool: asyncpg.Pool, add_tasks: Add) -> None:
    await add_tasks(1, key=LOST, statuses=("DELETED",))

    assert await rotate(pool, BOTH) == Rotated(resealed=0, not_opened=0, left=0)


async def test_no_url_and_no_key_is_logged(pool: asyncpg.Pool, add_tasks: Add) -> None:
    await add_tasks(2)
    await add_tasks(2, key=LOST, first=3)

    with capture_logs() as log:
        await rotate(pool, BOTH)

    assert [line["event"] for line in log] == ["task.not_opened", "keys.rotating"]
    assert not any(secret in str(log) for secret in ("token", setting(OLD), setting(NEW), setting(LOST)))


@asynccontextmanager
async def started(database_url: str, *keys: bytes) -> AsyncIterator[Process]:
    """The command as an operator starts it."""
    env = {**INHERITED, "DATABASE_URL": database_url, "SEALING_KEYS": setting(*keys), "ENVIRONMENT": "production"}
    process = await asyncio.create_subprocess_exec(COMMAND, "rotate-keys", env=env, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def outcome(process: Process) -> tuple[int | None, list[dict[str, Any]], str]:
    """Exit code, log and error of a process that has ended."""
    async with asyncio.timeout(WAIT_S):
        output, errors = await process.communicate()
    assert output == b""
    lines = errors.decode().splitlines()
    log = [json.loads(line) for line in lines if line.startswith("{")]
    return process.returncode, log, "\n".join(line for line in lines if not line.startswith("{"))


async def test_the_command_says_how_many_it_sealed_and_ends_with_0(
    database_url: str, database: asyncpg.Connection, add_tasks: Add
) -> None:
    await add_tasks(1200)

    async with started(database_url, NEW, OLD) as process:
        status, log, error = await outcome(process)

    assert (status, error) == (0, "")
    assert [line["resealed"] for line in log if line["event"] == "keys.rotating"] == [500, 1000, 1200]
    last = {"event": "keys.rotated", "key_ids": BOTH.key_ids, "resealed": 1200, "not_opened": 0, "left": 0}
    assert last.items() <= log[-1].items()
    assert len(await urls(database, NEW)) == 1200


async def test_the_command_ends_with_1_where_a_key_is_missing(database_url: str, add_tasks: Add) -> None:
    [lost] = await add_tasks(1, key=LOST, statuses=("ACTIVE",))

    async with started(database_url, NEW, OLD) as process:
        status, log, error = await outcome(process)

    assert status == 1
    assert [line["task_id"] for line in log if line["event"] == "task.not_opened"] == [str(lost)]
    assert error.startswith("tocsin-api: 1 tasks have a URL that no key opens")


async def test_the_command_may_be_broken_off_and_run_again(
    database_url: str, database: asyncpg.Connection, other: asyncpg.Connection, add_tasks: Add
) -> None:
    ids = await add_tasks(600)
    async with other.transaction(), started(database_url, NEW, OLD) as process:
        await other.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", ids[-1])
        await eventually(lambda: waits_for_a_lock(database))
        process.send_signal(signal.SIGTERM)
        status, _, error = await outcome(process)
    kept = await under_first_key(database)

    async with started(database_url, NEW, OLD) as process:
        again, *_ = await outcome(process)

    assert (status, error) == (1, "tocsin-api: it was broken off: run it again, it goes on from there")
    assert (kept, again) == (ids[:500], 0)
    assert len(await urls(database, NEW)) == 600


async def test_the_command_says_that_there_are_no_tables(empty_database_url: str) -> None:
    async with started(empty_database_url, NEW, OLD) as process:
        status, _, error = await outcome(process)

    assert (status, error) == (
        1,
        "tocsin-api: the database has no tables of this release yet: run `tocsin-api migrate`",
    )
