"""`fail_tasks`, the one function through which the dispatcher changes the api's tasks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from waiting import WAIT_S, eventually

URL, OTHER_URL = b"hash of a URL", b"hash of another"
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)
A, B, C, NONE = (UUID(int=number) for number in (1, 2, 3, 99))

AddTask = Callable[..., Awaitable[None]]


@pytest.fixture
async def database(shared_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The dispatcher's connection."""
    connection = await asyncpg.connect(shared_database_url)
    yield connection
    await connection.execute("TRUNCATE tasks, task_revisions")
    await connection.close()


@pytest.fixture
def add_task(database: asyncpg.Connection) -> AddTask:
    async def add(
        task_id: UUID,
        *,
        status: str = "ACTIVE",
        url_hash: bytes = URL,
        revision: int = 1,
        effective_from: datetime = SINCE,
    ) -> None:
        await database.execute(
            """
            WITH task AS (
                INSERT INTO tasks (id, name, schedule, webhook_url_sealed, webhook_url_hash, webhook_url_masked,
                                   destination, payload, max_retry, status, revision, effective_from, created_at,
                                   updated_at)
                VALUES ($1, 'a task', '0 9 * * *', 'sealed', $2, 'masked', 'discord.com/1', '{"content": "hello"}',
                        3, $3, $4, $5, $6, $6)
                RETURNING *
            )
            INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, destination)
            SELECT id, revision, effective_from, status, schedule, timezone, destination FROM task
            """,
            task_id,
            url_hash,
            status,
            revision,
            effective_from,
            SINCE,
        )

    return add


@pytest.fixture
async def other(shared_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Someone else's connection."""
    connection = await asyncpg.connect(shared_database_url)
    yield connection
    await connection.close()


async def fail(database: asyncpg.Connection, *wanted: tuple[UUID, bytes, str]) -> list[UUID]:
    """The tasks that became FAILED; `wanted` has a task, a URL's hash and a reason each."""
    columns = [list(column) for column in zip(*wanted, strict=True)] if wanted else [[], [], []]
    rows = await database.fetch("SELECT fail_tasks($1::uuid[], $2::bytea[], $3::text[]) AS id", *columns)
    return sorted(row["id"] for row in rows)


async def task(database: asyncpg.Connection, task_id: UUID) -> asyncpg.Record:
    return await database.fetchrow("SELECT * FROM tasks WHERE id = $1", task_id)


async def revisions(database: asyncpg.Connection, task_id: UUID) -> list[tuple[int, str]]:
    rows = await database.fetch(
        "SELECT revision, status FROM task_revisions WHERE task_id = $1 ORDER BY revision", task_id
    )
    return [tuple(row) for row in rows]


async def test_an_active_task_with_that_url_becomes_failed_with_the_reason(database, add_task):
    await add_task(A, revision=4)

    failed = await fail(database, (A, URL, "the webhook is gone"))

    row = await task(database, A)
    assert failed == [A]
    assert (row["status"], row["status_reason"], row["revision"]) == ("FAILED", "the webhook is gone", 5)
    assert row["updated_at"] > SINCE
    assert row["created_at"] == SINCE


async def test_its_change_is_appended_for_the_scheduler(database, add_task):
    await add_task(A, revision=4)

    await fail(database, (A, URL, "gone"))

    assert await revisions(database, A) == [(4, "ACTIVE"), (5, "FAILED")]
    row = await task(database, A)
    appended = await database.fetchrow("SELECT * FROM task_revisions WHERE task_id = $1 AND revision = 5", A)
    for column in ("effective_from", "status", "schedule", "timezone", "destination"):
        assert appended[column] == row[column]


async def test_the_change_takes_effect_now(database, add_task):
    await add_task(A)
    before = await database.fetchval("SELECT clock_timestamp()")

    await fail(database, (A, URL, "gone"))

    after = await database.fetchval("SELECT clock_timestamp()")
    assert before <= (await task(database, A))["effective_from"] <= after


async def test_effective_from_rises_even_where_the_last_one_lies_ahead_of_the_clock(database, add_task):
    await add_task(A, effective_from=FUTURE)

    await fail(database, (A, URL, "gone"))

    assert (await task(database, A))["effective_from"] == FUTURE + timedelta(microseconds=1)


@pytest.mark.parametrize("status", ["INACTIVE", "FAILED", "DELETED"])
async def test_a_task_that_is_not_active_is_left_alone(status, database, add_task):
    await add_task(A, status=status)
    before = await task(database, A)

    failed = await fail(database, (A, URL, "gone"))

    assert failed == []
    assert await task(database, A) == before
    assert await revisions(database, A) == [(1, status)]


async def test_a_task_that_has_another_url_by_now_is_left_alone(database, add_task):
    await add_task(A, url_hash=OTHER_URL)
    before = await task(database, A)

    failed = await fail(database, (A, URL, "gone"))

    assert failed == []
    assert await task(database, A) == before
    assert await revisions(database, A) == [(1, "ACTIVE")]


async def test_only_the_tasks_that_are_named_are_failed_each_with_its_own_reason(database, add_task):
    for task_id, url_hash in ((A, URL), (B, OTHER_URL), (C, URL)):
        await add_task(task_id, url_hash=url_hash)

    failed = await fail(database, (B, OTHER_URL, "reason b"), (NONE, URL, "no such task"), (A, URL, "reason a"))

    assert failed == [A, B]
    shown = await database.fetch("SELECT status, status_reason FROM tasks ORDER BY id")
    assert [tuple(row) for row in shown] == [("FAILED", "reason a"), ("FAILED", "reason b"), ("ACTIVE", None)]


async def test_a_task_that_is_named_twice_is_failed_once(database, add_task):
    await add_task(A)

    failed = await fail(database, (A, URL, "gone"), (A, URL, "gone again"), (A, URL, "gone"))

    assert failed == [A]
    assert await revisions(database, A) == [(1, "ACTIVE"), (2, "FAILED")]


@pytest.mark.parametrize("turned", [False, True])
async def test_a_task_that_is_named_with_its_old_and_its_new_url_is_failed(turned, database, add_task):
    await add_task(A)
    wanted = [(A, OTHER_URL, "the old one is gone"), (A, URL, "the new one is gone")]

    failed = await fail(database, *(wanted[::-1] if turned else wanted))

    assert failed == [A]
    assert (await task(database, A))["status_reason"] == "the new one is gone"


async def test_failing_again_changes_nothing(database, add_task):
    await add_task(A)
    await fail(database, (A, URL, "gone"))
    before = await task(database, A)

    assert await fail(database, (A, URL, "gone again")) == []
    assert await task(database, A) == before


async def test_nothing_named_is_nothing_failed(database, add_task):
    await add_task(A)

    assert await fail(database) == []


@pytest.mark.parametrize(
    ("change", "failed", "expected"),
    [
        ("status = 'INACTIVE'", [], [(1, "ACTIVE"), (2, "INACTIVE")]),
        ("webhook_url_hash = 'hash of another'", [], [(1, "ACTIVE"), (2, "ACTIVE")]),
        ("name = 'renamed'", [A], [(1, "ACTIVE"), (2, "ACTIVE"), (3, "FAILED")]),
    ],
)
async def test_a_change_that_is_under_way_is_waited_for_and_counts(
    change, failed, expected, database, other, add_task
):
    await add_task(A)
    async with other.transaction():
        await other.execute(
            f"""
            WITH changed AS (
                UPDATE tasks SET {change}, revision = revision + 1, effective_from = clock_timestamp() RETURNING *
            )
            INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, destination)
            SELECT id, revision, effective_from, status, schedule, timezone, destination FROM changed
            """  # noqa: S608 - the table above
        )
        failing = asyncio.create_task(fail(database, (A, URL, "gone")))
        await eventually(lambda: waits_for_a_lock(other))

    async with asyncio.timeout(WAIT_S):
        assert await failing == failed
    assert await revisions(database, A) == expected
    effective = await database.fetch("SELECT effective_from FROM task_revisions ORDER BY revision")
    assert [row["effective_from"] for row in effective] == sorted({row["effective_from"] for row in effective})


async def waits_for_a_lock(connection: asyncpg.Connection) -> bool:
    return await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
        )
        """
    )


async def test_calls_that_name_the_same_tasks_in_another_order_do_not_deadlock(database, other, add_task):
    wanted = [(UUID(int=number), URL, "gone") for number in range(1, 201)]
    for task_id, url_hash, _ in wanted:
        await add_task(task_id, url_hash=url_hash)

    async with asyncio.timeout(WAIT_S):
        one, two = await asyncio.gather(fail(database, *wanted), fail(other, *wanted[::-1]))

    assert sorted(one + two) == [task_id for task_id, _, _ in wanted]
