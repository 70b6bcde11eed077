"""Following the tasks on a real database: no commit can hide."""

import asyncio
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.scheduler.feed import Feed
from tocsin_dispatcher.scheduler.heap import TICK, Heap, Revision, Span
from tocsin_dispatcher.scheduler.lease import Standing

from .conftest import DAY

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


@pytest.fixture
def feed(pool: asyncpg.Pool) -> Feed:
    return Feed(pool, DatabaseClock())


def members(heap: Heap) -> set[UUID]:
    head = heap.head()
    return {job.task_id for job in heap.jobs_at(head)} if head is not None else set()


async def test_a_snapshot_holds_the_active_tasks(feed: Feed, add_task):
    active = await add_task()
    await add_task(status="INACTIVE")
    await add_task(status="DELETED")

    heap, _ = await feed.load(Standing(1, DAY, 0, None))

    assert members(heap) == {active}


async def test_the_feed_brings_what_commits_after_the_snapshot(feed: Feed, add_task):
    heap, _ = await feed.load(Standing(1, DAY, 0, None))
    added = await add_task()

    await feed.read(heap)

    assert members(heap) == {added}


async def test_a_transaction_that_commits_late_is_not_missed(
    feed: Feed, add_task, pool: asyncpg.Pool, database: asyncpg.Connection
):
    slow_task = await add_task(status="INACTIVE")
    heap, _ = await feed.load(Standing(1, DAY, 0, None))
    slow = database.transaction()
    await slow.start()
    await database.execute(NEXT_REVISION, slow_task, "ACTIVE", "discord.com/1", DAY)
    quick_task = await add_task()
    await feed.read(heap)
    assert members(heap) == {quick_task}

    await slow.commit()
    await feed.read(heap)

    assert members(heap) == {quick_task, slow_task}


async def test_reading_again_owes_nothing_twice(feed: Feed, add_task):
    heap, _ = await feed.load(Standing(1, DAY + timedelta(seconds=7), 0, None))
    await add_task()

    first = await feed.read(heap)
    second = await feed.read(heap)

    assert [(span.start, span.end) for span in first] == [(DAY, DAY + timedelta(seconds=7))]
    assert second == []


async def test_a_change_that_the_last_leader_did_not_apply_is_late_for_the_next(
    feed: Feed, add_task, pool: asyncpg.Pool
):
    old = await add_task()
    position = await pool.fetchval("SELECT pg_current_xact_id()")  # others work on this server, too
    await pool.execute(NEXT_REVISION, old, "INACTIVE", "discord.com/1", DAY + timedelta(seconds=12))
    new = await add_task(effective_from=DAY + timedelta(seconds=1))

    heap, late = await feed.load(Standing(2, DAY + timedelta(seconds=5), position, None))

    watermark, ended, began = (DAY + timedelta(seconds=second) for second in (5, 12, 1))
    assert {(span.revision.task_id, span.start, span.end) for span in late} == {
        (old, watermark + TICK, ended - TICK),
        (new, began, watermark),
    }
    assert members(heap) == {new}


async def test_what_changed_before_the_position_is_not_late(feed: Feed, add_task, pool: asyncpg.Pool):
    await add_task()
    position = await pool.fetchval("SELECT pg_current_xact_id()")  # others work on this server, too

    _, late = await feed.load(Standing(2, DAY + timedelta(seconds=30), position, None))

    assert late == []


class WatchedHeap(Heap):
    """Notes how often others had their turn before each change that it takes in."""

    def __init__(self, turns: list[int]) -> None:
        super().__init__(DAY)
        self.turns_of_others = turns
        self.seen: list[int] = []

    def apply(self, revision: Revision) -> list[Span]:
        self.seen.append(len(self.turns_of_others))
        return super().apply(revision)


async def test_taking_in_many_changes_gives_way_to_what_renews_the_lease(feed: Feed, pool: asyncpg.Pool):
    turns: list[int] = []

    async def take_turns() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    await pool.execute(MANY_REVISIONS)
    heap = WatchedHeap(turns)
    others = asyncio.create_task(take_turns())

    await feed.read(heap)

    others.cancel()
    assert len(heap) == 100
    assert len(set(heap.seen)) == 100
