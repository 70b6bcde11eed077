"""`replay_executions`, through which the api brings executions back, and `judge_replays`, which says which."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import pytest

from waiting import WAIT_S, eventually

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLDEST = NOON - timedelta(days=1)
DUE = datetime(2026, 3, 9, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
A, B = UUID(int=1), UUID(int=2)

Key = tuple[datetime, UUID]


class Answer(NamedTuple):
    """A row of what the function returns."""

    scheduled_for: datetime
    task_id: UUID
    destination: str | None
    next_at: datetime | None
    refusal: str | None


@pytest.fixture(scope="module", autouse=True)
async def partitions(shared_database_url: str) -> None:
    connection = await asyncpg.connect(shared_database_url)
    for table in ("executions", "task_logs"):
        await connection.execute(f"CREATE TABLE all_{table} PARTITION OF {table} DEFAULT")
    await connection.close()


@pytest.fixture
async def database(shared_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The api's connection."""
    connection = await asyncpg.connect(shared_database_url)
    yield connection
    await connection.execute("TRUNCATE tasks, executions, task_logs")
    await connection.close()


@pytest.fixture
async def other(shared_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Someone else's connection."""
    connection = await asyncpg.connect(shared_database_url)
    yield connection
    await connection.close()


async def add_task(database: asyncpg.Connection, task_id: UUID, status: str = "ACTIVE") -> None:
    await database.execute(
        """
        INSERT INTO tasks (id, name, schedule, webhook_url_sealed, webhook_url_hash, webhook_url_masked,
                           destination, payload, max_retry, status, revision, effective_from, created_at,
                           updated_at)
        VALUES ($1, 'a task', '0 9 * * *', '', '', 'masked', 'discord.com/new', '{}', 3, $2, 1, $3, $3, $3)
        """,
        task_id,
        status,
        OLDEST,
    )


async def add_execution(
    database: asyncpg.Connection, task_id: UUID, at: datetime = NOON, state: str = "failed"
) -> Key:
    await database.execute(
        """
        INSERT INTO executions (scheduled_for, task_id, state, reason, destination, next_at, give_up_at, seq,
                                failures, lost_claims, sweeps, finished_at)
        VALUES ($1, $2, $3, 'given up: lost claims', 'discord.com/old', $1, $1, 6, 2, 5, 7, $1)
        """,
        at,
        task_id,
        state,
    )
    return at, task_id


async def add_log(database: asyncpg.Connection, key: Key, status: str) -> None:
    await database.execute(
        """
        INSERT INTO task_logs (scheduled_for, task_id, seq, execution_time, status, outcome, retry_count,
                               duration_ms, message)
        VALUES ($1, $2, 6, $1, $3, 'succeeded', 0, 12, '')
        """,
        *key,
        status,
    )


async def replay(database: asyncpg.Connection, *keys: Key) -> list[Answer]:
    columns = [[at for at, _ in keys], [task_id for _, task_id in keys]]
    rows = await database.fetch(
        "SELECT * FROM replay_executions($1, $2, $3, $4, $5, $6)", *columns, OLDEST, DUE, SECOND, DAY
    )
    return [Answer(*row) for row in rows]


async def execution(database: asyncpg.Connection, key: Key) -> asyncpg.Record:
    return await database.fetchrow("SELECT * FROM executions WHERE (scheduled_for, task_id) = ($1, $2)", *key)


async def test_a_failed_execution_waits_again_as_if_nothing_had_been_tried(database: asyncpg.Connection) -> None:
    await add_task(database, A)
    key = await add_execution(database, A)

    answers = await replay(database, key)

    row = await execution(database, key)
    assert answers == [Answer(*key, "discord.com/new", DUE, None)]
    assert (row["state"], row["reason"], row["finished_at"]) == ("waiting", None, None)
    assert (row["failures"], row["lost_claims"], row["sweeps"]) == (0, 0, 0)
    assert (row["next_at"], row["give_up_at"]) == (DUE, DUE + DAY)
    assert row["destination"] == "discord.com/new"
    assert row["replayed_at"] > NOON


async def test_its_seq_goes_on_since_the_log_is_keyed_by_it(database: asyncpg.Connection) -> None:
    await add_task(database, A)
    key = await add_execution(database, A)

    await replay(database, key)

    assert (await execution(database, key))["seq"] == 6


async def test_the_oldest_is_due_first_and_each_further_one_later(database: asyncpg.Connection) -> None:
    for task_id in (A, B):
        await add_task(database, task_id)
    first, second = await add_execution(database, B), await add_execution(database, A, NOON + SECOND)
    third = await add_execution(database, B, NOON + SECOND)

    answers = await replay(database, third, first, second)

    assert [(answer[:2], answer.next_at) for answer in answers] == [
        (first, DUE),
        (second, DUE + SECOND),
        (third, DUE + 2 * SECOND),
    ]


async def test_what_is_refused_takes_nobodys_turn(database: asyncpg.Connection) -> None:
    await add_task(database, A)
    refused = await add_execution(database, A, state="succeeded")
    key = await add_execution(database, A, NOON + SECOND)

    answers = await replay(database, refused, key)

    assert [answer.next_at for answer in answers] == [None, DUE]


REFUSALS = [
    ({"state": "succeeded"}, "succeeded"),
    *(({"state": state}, "not_failed") for state in ("due", "waiting", "running")),
    *(({"state": state}, "not_failed") for state in ("missed", "skipped", "expired", "cancelled")),
    ({"log": "SUCCESS"}, "succeeded"),
    ({"log": "FAILED"}, None),
    ({"log": "RETRYING"}, None),
    ({"at": OLDEST}, None),
    ({"at": OLDEST - timedelta(microseconds=1)}, "too_old"),
    ({"task": "INACTIVE"}, None),
    ({"task": "FAILED"}, "task_failed"),
    ({"task": "DELETED"}, "task_deleted"),
    ({"task": None}, "task_deleted"),
    # What cannot be mended is named first.
    ({"task": "DELETED", "state": "succeeded"}, "task_deleted"),
    ({"task": "FAILED", "state": "succeeded"}, "succeeded"),
    ({"task": "FAILED", "log": "SUCCESS"}, "succeeded"),
    ({"task": "FAILED", "at": OLDEST - SECOND}, "too_old"),
    ({"log": "SUCCESS", "at": OLDEST - SECOND}, "succeeded"),
]


@pytest.mark.parametrize(("case", "refusal"), REFUSALS)
async def test_what_may_not_be_replayed_is_refused_and_left_as_it_is(
    database: asyncpg.Connection, case: dict[str, Any], refusal: str | None
) -> None:
    if status := case.get("task", "ACTIVE"):
        await add_task(database, A, status)
    key = await add_execution(database, A, case.get("at", NOON), case.get("state", "failed"))
    if "log" in case:
        await add_log(database, key, case["log"])
    before = await execution(database, key)

    judged = await database.fetchval("SELECT refusal FROM judge_replays($1)", OLDEST)
    [answer] = await replay(database, key)

    assert answer.refusal == judged == refusal
    assert (answer.next_at is None) == (refusal is not None)
    assert (await execution(database, key) == before) == (refusal is not None)


async def test_what_there_is_not_is_unknown(database: asyncpg.Connection) -> None:
    await add_task(database, A)

    assert await replay(database, (NOON, A)) == [Answer(NOON, A, None, None, "unknown")]


async def test_what_is_named_twice_is_replayed_once(database: asyncpg.Connection) -> None:
    await add_task(database, A)
    key = await add_execution(database, A)

    assert len(await replay(database, key, key)) == 1


async def test_only_what_is_named_is_replayed(database: asyncpg.Connection) -> None:
    await add_task(database, A)
    named, left = await add_execution(database, A), await add_execution(database, A, NOON + SECOND)

    await replay(database, named)

    assert (await execution(database, left))["state"] == "failed"
    assert await replay(database) == []


async def test_two_replays_at_once_replay_once(database: asyncpg.Connection, other: asyncpg.Connection) -> None:
    await add_task(database, A)
    keys = [await add_execution(database, A, NOON + n * SECOND) for n in range(200)]

    async with asyncio.timeout(WAIT_S):
        one, two = await asyncio.gather(replay(database, *keys), replay(other, *keys[::-1]))

    for first, second in zip(one, two, strict=True):
        assert {first.refusal, second.refusal} == {None, "not_failed"}


async def test_a_success_that_is_being_recorded_is_waited_for_and_counts(
    database: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    await add_task(database, A)
    key = await add_execution(database, A)

    async with other.transaction():
        await add_log(other, key, "SUCCESS")
        await other.execute("UPDATE executions SET state = 'succeeded'")
        replaying = asyncio.create_task(replay(database, key))
        await eventually(lambda: waits_for_a_lock(other))

    async with asyncio.timeout(WAIT_S):
        [answer] = await replaying
    assert answer.refusal == "succeeded"
    assert (await execution(database, key))["state"] == "succeeded"


async def waits_for_a_lock(connection: asyncpg.Connection) -> bool:
    return await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
        )
        """
    )


async def test_what_is_judged_is_planned_as_a_part_of_the_statement_that_asks(
    database: asyncpg.Connection,
) -> None:
    plan = await database.fetch(
        "EXPLAIN SELECT FROM judge_replays(now() - interval '1 day') WHERE task_id = $1", A
    )

    assert "judge_replays" not in "\n".join(row[0] for row in plan)
