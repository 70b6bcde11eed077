"""What is left of deleted tasks goes, bit by bit, and nothing else does."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tocsin_common.tables import OPEN_STATES, TERMINAL_STATES
from tocsin_dispatcher.scheduler import removal_sql
from tocsin_dispatcher.scheduler.remover import Remover
from waiting import WAIT_S, becomes_true

from .conftest import DAY, AddExecution, AddTask

AT_ONCE = timedelta(0)
SECOND = timedelta(seconds=1)
Count = Callable[[str, UUID], Awaitable[int]]


@pytest.fixture
def remover(pool: asyncpg.Pool) -> Remover:
    """One that forgets a task as soon as it may."""
    return Remover(pool, check_s=0.05, forget_after=AT_ONCE)


@pytest.fixture
def delete(pool: asyncpg.Pool) -> Callable[[UUID], Awaitable[None]]:
    """Delete a task as the api does; the leader has dealt with it."""

    async def delete(task_id: UUID, *, is_settled: bool = True) -> None:
        await pool.execute(
            """
            WITH deleted AS (
                UPDATE tasks SET status = 'DELETED', revision = revision + 1, updated_at = clock_timestamp()
                WHERE id = $1 RETURNING *
            )
            INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, destination)
            SELECT id, revision, updated_at, status, schedule, timezone, destination FROM deleted
            """,
            task_id,
        )
        if is_settled:
            await pool.execute(
                "UPDATE scheduler_lease SET watermark = clock_timestamp(), feed_xid = pg_current_xact_id()"
            )

    return delete


@pytest.fixture
def add_log(pool: asyncpg.Pool) -> Callable[..., Awaitable[None]]:
    async def add(task_id: UUID, seq: int = 1, scheduled_for: Any = DAY) -> None:
        await pool.execute(
            "INSERT INTO task_logs (scheduled_for, task_id, seq, execution_time, status, outcome, retry_count,"
            " duration_ms, message) VALUES ($1, $2, $3, $1, 'FAILED', 'permanent', 0, 1, '')",
            scheduled_for,
            task_id,
            seq,
        )

    return add


@pytest.fixture
def count(pool: asyncpg.Pool) -> Count:
    async def count(table: str, task_id: UUID) -> int:
        column = "id" if table == "tasks" else "task_id"
        found: int = await pool.fetchval(f"SELECT count(*) FROM {table} WHERE {column} = $1", task_id)  # noqa: S608 - our own names
        return found

    return count


async def add_state(pool: asyncpg.Pool, task_id: UUID) -> None:
    await pool.execute("INSERT INTO task_state VALUES ($1, 1, 'permanent', $2)", task_id, DAY)


REMAINS = (removal_sql.REMAINING_LOGS, removal_sql.REMAINING_EXECUTIONS)
ALL = ("tasks", "task_revisions", "executions", "task_logs", "task_state")


async def test_all_that_is_left_of_a_deleted_task_goes_and_nothing_of_others(
    pool: asyncpg.Pool, remover: Remover, add_task: AddTask, add_execution: AddExecution, delete, add_log, count
) -> None:
    deleted, *others = [await add_task(status=status) for status in ("ACTIVE", "ACTIVE", "INACTIVE", "FAILED")]
    for task_id in (deleted, *others):
        for n, state in enumerate(TERMINAL_STATES):
            await add_execution(task_id, DAY + n * SECOND, state=state)
            await add_log(task_id, n + 1, DAY + n * SECOND)
        await add_state(pool, task_id)
    await delete(deleted)

    await remover.remove_all()

    assert [await count(table, deleted) for table in ALL] == [0] * 5
    for task_id in others:
        assert [await count(table, task_id) for table in ALL] == [1, 1, *[len(TERMINAL_STATES)] * 2, 1]


@pytest.mark.parametrize("state", OPEN_STATES)
async def test_what_has_not_ended_stays_until_it_has(
    pool: asyncpg.Pool, remover: Remover, add_task: AddTask, add_execution: AddExecution, delete, count, state: str
) -> None:
    task_id = await add_task()
    await add_execution(task_id, state=state)
    await add_execution(task_id, DAY + SECOND, state="failed")
    await delete(task_id)

    await remover.remove_all()
    before = [await count(table, task_id) for table in ("tasks", "executions")]
    await pool.execute("UPDATE executions SET state = 'cancelled'")
    await remover.remove_all()

    assert before == [1, 1]
    assert [await count(table, task_id) for table in ALL] == [0] * 5


async def test_task_stays_known_until_the_leader_has_dealt_with_its_deletion(
    pool: asyncpg.Pool, remover: Remover, add_task: AddTask, add_execution: AddExecution, delete, count
) -> None:
    task_id = await add_task()
    await add_execution(task_id, state="failed")
    await pool.execute("UPDATE scheduler_lease SET watermark = clock_timestamp(), feed_xid = pg_current_xact_id()")
    await delete(task_id, is_settled=False)
    await pool.execute("UPDATE scheduler_lease SET watermark = clock_timestamp() + interval '1 day'")

    await remover.remove_all()

    assert [await count(table, task_id) for table in ALL] == [1, 2, 0, 0, 0]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE scheduler_lease SET watermark = '2026-03-01'",
        "UPDATE scheduler_lease SET gap_until = clock_timestamp()",
    ],
    ids=["behind", "gap"],
)
async def test_task_stays_known_while_what_it_was_before_may_still_be_owed(
    pool: asyncpg.Pool, remover: Remover, add_task: AddTask, delete, count, change: str
) -> None:
    task_id = await add_task()
    await delete(task_id)
    await pool.execute(change)

    await remover.remove_all()

    assert await count("tasks", task_id) == 1


async def test_task_stays_known_for_a_while(pool: asyncpg.Pool, add_task: AddTask, delete, count) -> None:
    task_id = await add_task()
    await delete(task_id)

    await Remover(pool).remove_all()

    assert await count("tasks", task_id) == 1


@pytest.mark.usefixtures("partitions")
async def test_a_statement_removes_a_bounded_number_of_rows_and_many_of_them_all(
    pool: asyncpg.Pool, remover: Remover, add_task: AddTask, delete, count
) -> None:
    task_id = await add_task()
    await pool.execute(
        """
        WITH added AS (
            INSERT INTO executions (scheduled_for, task_id, state, destination, next_at, give_up_at)
            SELECT $2::timestamptz + n * interval '1 second', $1, 'failed', 'd', $2, $2
            FROM generate_series(1, 1200) n RETURNING *
        )
        INSERT INTO task_logs (scheduled_for, task_id, seq, execution_time, status, outcome, retry_count,
                               duration_ms, message)
        SELECT scheduled_for, task_id, 1, scheduled_for, 'FAILED', 'permanent', 0, 1, '' FROM added
        """,
        task_id,
        DAY,
    )
    await delete(task_id)

    once = []
    for remains in REMAINS:
        [place] = await pool.fetch(remains.place, task_id)
        once.append(len(await pool.fetch(remains.remove, task_id, place["first"], DAY + 1200 * SECOND)))
    await remover.remove_all()

    assert once == [500, 500]
    assert [await count(table, task_id) for table in ALL] == [0] * 5


async def test_more_tasks_than_a_page_are_all_removed(
    pool: asyncpg.Pool, remover: Remover, add_task: AddTask, add_execution: AddExecution, delete
) -> None:
    ids = [await add_task() for _ in range(105)]
    await add_execution(ids[-1], state="failed")
    for task_id in ids:
        await delete(task_id)

    await remover.remove_all()

    assert await pool.fetchval("SELECT count(*) FROM tasks") == 0
    assert await pool.fetchval("SELECT count(*) FROM executions") == 0


async def test_a_row_that_somebody_holds_is_left_to_the_next_time(
    pool: asyncpg.Pool, remover: Remover, add_task: AddTask, add_execution: AddExecution, delete, count
) -> None:
    task_id = await add_task()
    for n in range(2):
        await add_execution(task_id, DAY + n * SECOND, state="failed")
    await delete(task_id)

    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("SELECT FROM executions WHERE scheduled_for = $1 FOR UPDATE", DAY)
        async with asyncio.timeout(WAIT_S):
            await remover.remove_all()
        held = await count("executions", task_id)
    await remover.remove_all()

    assert held == 1
    assert await count("executions", task_id) == 0


async def test_statements_leave_a_task_that_is_not_deleted_alone(
    pool: asyncpg.Pool, add_task: AddTask, add_execution: AddExecution, add_log, count
) -> None:
    task_id = await add_task()
    await add_execution(task_id, state="failed")
    await add_log(task_id)
    await pool.execute("UPDATE scheduler_lease SET watermark = clock_timestamp(), feed_xid = pg_current_xact_id()")

    for remains in REMAINS:
        await pool.fetch(remains.remove, task_id, DAY, DAY)
    await pool.fetch(removal_sql.FORGET_TASKS, [task_id], AT_ONCE)
    await pool.fetch("SELECT forget_tasks($1)", [task_id])

    assert [await count(table, task_id) for table in ALL[:4]] == [1, 1, 1, 1]


async def test_removal_goes_on_after_what_it_could_not_do(
    pool: asyncpg.Pool, remover: Remover, add_task: AddTask, delete
) -> None:
    task_id = await add_task()
    await pool.execute("ALTER FUNCTION forget_tasks(uuid[]) RENAME TO not_there")
    await delete(task_id)
    removing = asyncio.create_task(remover.run())
    try:
        async with asyncio.timeout(WAIT_S):
            await becomes_true(pool, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%forget%')")
        await pool.execute("ALTER FUNCTION not_there(uuid[]) RENAME TO forget_tasks")
        await becomes_true(pool, "SELECT NOT EXISTS (SELECT FROM tasks)")
    finally:
        removing.cancel()
