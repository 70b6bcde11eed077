"""Following the tasks on a real database: no commit can hide."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
import structlog

from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.scheduler import feed_sql
from tocsin_dispatcher.scheduler.feed import UNREAD, DatabaseChangedError, Feed
from tocsin_dispatcher.scheduler.heap import Heap
from tocsin_dispatcher.scheduler.lease import Standing
from tocsin_dispatcher.scheduler.revision import TICK, Change, Revision

from .conftest import DAY, counted

NEXT_REVISION = """
WITH task AS (
    UPDATE tasks SET revision = revision + 1, status = $2, destination = $3, effective_from = $4
    WHERE id = $1 RETURNING *
)
INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, destination)
SELECT id, revision, effective_from, status, schedule, timezone, destination FROM task
"""

MANY_REVISIONS = """
INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, destination)
SELECT md5(n::text)::uuid, 1, clock_timestamp(), 'ACTIVE', n % 60 || ' * * * * *', 'UTC', 'discord.com/1'
FROM generate_series(1, 100) AS n
"""


SET_LEASE = """
UPDATE scheduler_lease
SET watermark = $1, feed_xid = $2::xid8,
    database_id = COALESCE($3, (SELECT system_identifier FROM pg_control_system()) || '/00000001')
RETURNING database_id
"""


@pytest.fixture
def feed(pool: asyncpg.Pool) -> Feed:
    return Feed(pool, DatabaseClock())


@pytest.fixture
def set_lease(pool: asyncpg.Pool):
    """What the last leader left: the watermark, and a position in this database unless it is another's."""

    async def set_lease(watermark: datetime = DAY, xid: int = 0, *, database_id: str | None = None) -> Standing:
        row = await pool.fetchrow(SET_LEASE, watermark, xid, database_id)
        return Standing(2, watermark, xid, None, row["database_id"], None, None, None)

    return set_lease


def members(heap: Heap) -> set[UUID]:
    head = heap.head()
    return {owed.job.task_id for owed in heap.owed_at(head)} if head is not None else set()


def late(feed: Feed) -> set[tuple[UUID, datetime, datetime]]:
    return {(span.revision.task_id, span.start, span.end) for span in feed.heap.late(feed.unsettled)}


async def test_a_snapshot_holds_the_active_tasks(feed: Feed, set_lease, add_task):
    await set_lease()
    active = await add_task()
    await add_task(status="INACTIVE")
    await add_task(status="DELETED")

    await feed.load()

    assert members(feed.heap) == {active}


async def test_the_feed_brings_what_commits_after_the_snapshot(feed: Feed, set_lease, add_task):
    await set_lease()
    await feed.load()
    added = await add_task()

    await feed.read()

    assert members(feed.heap) == {added}


async def test_a_transaction_that_commits_late_is_not_missed(
    feed: Feed, set_lease, add_task, pool: asyncpg.Pool, database: asyncpg.Connection
):
    await set_lease()
    slow_task = await add_task(status="INACTIVE")
    await feed.load()
    slow = database.transaction()
    await slow.start()
    await database.execute(NEXT_REVISION, slow_task, "ACTIVE", "discord.com/1", DAY)
    quick_task = await add_task()
    await feed.read()
    assert members(feed.heap) == {quick_task}

    await slow.commit()
    await feed.read()

    assert members(feed.heap) == {quick_task, slow_task}


async def test_what_was_settled_is_owed_no_second_time(feed: Feed, set_lease, add_task):
    await feed.take_over(await set_lease(DAY + timedelta(seconds=7)))
    task_id = await add_task()
    await feed.read()
    assert late(feed) == {(task_id, DAY, DAY + timedelta(seconds=7))}

    feed.settled()
    await feed.read()

    assert late(feed) == set()


@pytest.mark.parametrize("stood_by", [False, True], ids=["a process that has just started", "a standby"])
async def test_a_change_that_the_last_leader_did_not_apply_is_late_for_the_next(
    feed: Feed, set_lease, add_task, pool: asyncpg.Pool, stood_by: bool
):
    old = await add_task()
    position = await pool.fetchval("SELECT pg_current_xact_id()")  # others work on this server, too
    standing = await set_lease(DAY + timedelta(seconds=5), position)
    if stood_by:
        await feed.load()
    await pool.execute(NEXT_REVISION, old, "INACTIVE", "discord.com/1", DAY + timedelta(seconds=12))
    new = await add_task(effective_from=DAY + timedelta(seconds=1))
    if stood_by:
        await feed.follow()

    await feed.take_over(standing)

    watermark, ended, began = (DAY + timedelta(seconds=second) for second in (5, 12, 1))
    assert late(feed) == {(old, watermark + TICK, ended - TICK), (new, began, watermark)}
    assert members(feed.heap) == {new}


async def test_what_the_last_leader_had_taken_in_is_not_late(feed: Feed, set_lease, add_task, pool: asyncpg.Pool):
    await set_lease()
    await feed.load()
    await add_task()
    await feed.follow()
    position = await pool.fetchval("SELECT pg_current_xact_id()")  # others work on this server, too

    await feed.take_over(await set_lease(DAY + timedelta(seconds=30), position))

    assert late(feed) == set()


async def test_what_was_settled_beyond_an_open_transaction_is_not_late(
    feed: Feed, set_lease, add_task, pool: asyncpg.Pool, database: asyncpg.Connection
):
    standing = await set_lease(DAY + timedelta(seconds=30))
    await feed.take_over(standing)
    async with database.transaction():
        position = await database.fetchval("SELECT pg_current_xact_id()")  # it holds the position back
        await add_task()
        await feed.read()
        assert len(late(feed)) == 1
        settled = feed.position
        await add_task()
        await feed.read()

    await feed.take_over(standing._replace(feed_xid=settled.xid, feed_snapshot=settled.snapshot))

    assert settled.xid <= position
    assert len(late(feed)) == 1


async def test_what_is_known_is_not_read_again_while_a_transaction_stays_open(
    feed: Feed, set_lease, add_task, pool: asyncpg.Pool, database: asyncpg.Connection
):
    await set_lease()
    await feed.load()
    async with database.transaction():
        await database.execute("SELECT pg_current_xact_id()")
        await add_task()
        await feed.read()

        rows = await pool.fetch(feed_sql.FEED, *feed.position)

    assert [row["task_id"] for row in rows] == [None]


async def test_ids_of_another_systems_transactions_are_not_taken_for_this_ones(
    feed: Feed, set_lease, add_task, pool: asyncpg.Pool
):
    await add_task()
    await pool.execute("UPDATE task_revisions SET xid = '1000000000000'")  # as a dump brings them
    standing = await set_lease(DAY + timedelta(hours=1), 2**40, database_id="7/00000001")

    await feed.take_over(standing)

    assert await pool.fetchval("SELECT xid::text FROM task_revisions") == "0"
    assert feed.unsettled == []
    rows = await pool.fetch(feed_sql.FEED, *feed.position)
    assert [row["task_id"] for row in rows] == [None]


async def test_a_standby_keeps_no_more_than_the_next_leader_needs(
    feed: Feed, set_lease, add_task, pool: asyncpg.Pool
):
    await set_lease()
    await feed.load()
    await add_task()
    await feed.follow()
    assert len(feed._recent) == 1
    position = await pool.fetchval("SELECT pg_current_xact_id()")

    await set_lease(DAY + timedelta(seconds=9), position)
    await feed.follow()

    assert feed._recent == feed.unsettled == []
    assert feed.heap.watermark == DAY + timedelta(seconds=9)


async def test_a_position_in_another_database_says_nothing_and_effective_from_decides(
    feed: Feed, set_lease, add_task
):
    watermark = DAY + UNREAD + timedelta(seconds=20)
    standing = await set_lease(watermark, 2**40, database_id="7/00000001")
    before = await add_task(effective_from=DAY)
    after = await add_task(effective_from=watermark + timedelta(seconds=1))

    await feed.take_over(standing)

    assert members(feed.heap) == {before, after}
    assert [change.new.task_id for change in feed.unsettled] == [after]


async def test_who_adopted_the_position_of_this_database_reads_no_tasks_anew_for_its_next_term(
    feed: Feed, set_lease
):
    await feed.take_over(await set_lease(database_id="7/00000001"))
    heap = feed.heap
    feed.adopted()

    await feed.take_over(await set_lease(xid=feed.position.xid))

    assert feed.heap is heap


async def test_a_standby_reads_all_tasks_anew_once_where_the_position_becomes_one_of_this_database(
    feed: Feed, set_lease
):
    await set_lease(database_id="7/00000001")
    await feed.load()
    await feed.follow()
    assert feed.database_id is not None
    standing = await set_lease()

    await feed.follow()
    assert feed.database_id is None
    await feed.load()
    heap = feed.heap
    await feed.follow()
    await feed.take_over(standing)

    assert feed.heap is heap


async def test_a_position_in_a_copy_of_the_database_holds(feed: Feed, set_lease, add_task, pool: asyncpg.Pool):
    here = (await set_lease()).database_id
    timeline = "0" * 8
    await add_task(effective_from=DAY)
    standing = await set_lease(DAY + timedelta(hours=1), 2**40, database_id=f"{here.partition('/')[0]}/{timeline}")

    await feed.take_over(standing)

    assert feed.database_id == here
    assert feed.unsettled == []


async def test_a_feed_of_another_database_is_no_feed(feed: Feed, set_lease, add_task):
    await set_lease()
    await feed.load()
    feed.database_id = "7/00000001"

    with pytest.raises(DatabaseChangedError):
        await feed.read()

    assert feed.database_id is None


async def test_a_task_that_cannot_be_read_is_told_of_and_keeps_nobody_else_from_what_it_owes(
    feed: Feed, set_lease, add_task, capsys: pytest.CaptureFixture[str]
):
    await set_lease()
    loaded, known = await add_task(cron="61 * * * *"), await add_task()
    await feed.load()
    followed = await add_task(cron="62 * * * *")
    await feed.read()

    assert members(feed.heap) == {known}
    said = capsys.readouterr().out
    assert said.count("schedule.unreadable") == 2
    assert str(loaded) in said
    assert str(followed) in said


async def test_a_pause_is_seen_with_the_feed(feed: Feed, set_lease, pool: asyncpg.Pool):
    await set_lease()
    await feed.load()
    assert not feed.is_paused
    await pool.execute("UPDATE scheduler_pause SET paused_at = clock_timestamp()")

    await feed.read()

    assert feed.is_paused


async def test_tasks_that_drifted_are_found_and_read_again(feed: Feed, set_lease, add_task, pool: asyncpg.Pool):
    await set_lease()
    known, stopped, appeared = await add_task(), await add_task(), await add_task(status="INACTIVE")
    await feed.load()
    # What no revision tells: a restored table, or a hand at work.
    await pool.execute("UPDATE tasks SET status = 'INACTIVE' WHERE id = $1", stopped)
    await pool.execute("UPDATE tasks SET status = 'ACTIVE' WHERE id = $1", appeared)

    before = counted("tasks_drifted")

    first, second = await feed.find_drift(), await feed.find_drift()

    assert (first, second) == (2, 0)
    assert counted("tasks_drifted") == before + 2
    assert members(feed.heap) == {known, appeared}


async def test_a_task_whose_row_is_gone_is_dropped_and_told(feed: Feed, set_lease, add_task, pool: asyncpg.Pool):
    standing = await set_lease(DAY + timedelta(seconds=7))
    known, removed = await add_task(), await add_task()
    await feed.take_over(standing)
    feed.settled()
    await pool.execute("DELETE FROM tasks WHERE id = $1", removed)
    before = counted("tasks_drifted")

    with structlog.testing.capture_logs() as logs:
        first, second = await feed.find_drift(), await feed.find_drift()

    assert (first, second) == (1, 0)
    assert counted("tasks_drifted") == before + 1
    assert [line["task_id"] for line in logs if line["event"] == "task.drifted"] == [str(removed)]
    assert members(feed.heap) == {known}
    assert late(feed) == set()


async def test_a_task_whose_row_was_gone_is_taken_in_where_it_is_back(
    feed: Feed, set_lease, add_task, pool: asyncpg.Pool
):
    await set_lease()
    task_id = await add_task()
    await feed.load()
    [row] = await pool.fetch("DELETE FROM tasks WHERE id = $1 RETURNING tasks", task_id)
    await feed.find_drift()
    assert members(feed.heap) == set()
    await pool.execute("INSERT INTO tasks SELECT ($1::tasks).*", row["tasks"])

    assert await feed.find_drift() == 1

    assert members(feed.heap) == {task_id}


class WatchedHeap(Heap):
    """Notes how often others had their turn before each change that it takes in."""

    def __init__(self, turns: list[int]) -> None:
        super().__init__(DAY)
        self.turns_of_others = turns
        self.seen: list[int] = []

    def apply(self, revision: Revision) -> Change | None:
        self.seen.append(len(self.turns_of_others))
        return super().apply(revision)


async def test_taking_in_many_changes_gives_way_to_what_renews_the_lease(
    feed: Feed, set_lease, pool: asyncpg.Pool
):
    turns: list[int] = []

    async def take_turns() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    await set_lease()
    await feed.load()
    await pool.execute(MANY_REVISIONS)
    feed.heap = heap = WatchedHeap(turns)
    others = asyncio.create_task(take_turns())

    await feed.read()

    others.cancel()
    assert len(heap) == 100
    assert len(set(heap.seen)) == 100
