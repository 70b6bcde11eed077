"""A sender while sealing keys are rotated, and one that lacks a key."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import pytest

from tocsin_common.sealing import KEY_BYTES, Sealer
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.sender.budget import Rules
from tocsin_dispatcher.sender.claim import Claims, Grant
from tocsin_dispatcher.sender.crowd import Crowd
from tocsin_dispatcher.sender.delivery import Deliveries
from tocsin_dispatcher.sender.destinations import Destinations
from tocsin_dispatcher.sender.egress import Egress
from tocsin_dispatcher.sender.gate import Gate
from tocsin_dispatcher.sender.outcome import Verdict
from tocsin_dispatcher.sender.post import Attempt, Poster
from tocsin_dispatcher.sender.record import Recorded, Recorder
from tocsin_dispatcher.sender.room import Breaker
from tocsin_dispatcher.sender.slots import Slots
from tocsin_dispatcher.sender.starts import Starts
from waiting import WAIT_S, eventually

from .conftest import DAY, AddTask

URL, OTHER_URL = (f"https://discord.com/api/webhooks/{number}/token" for number in (1, 2))
OLD, NEW, LOST = (bytes([n]) * KEY_BYTES for n in (1, 2, 3))
GONE = Attempt(DAY, 0.1, Verdict("gone", "HTTP 404", 404), None)

Claim = Callable[[UUID], Awaitable[Grant]]
Deliver = Callable[..., Deliveries]


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's connection."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def claim(pool: asyncpg.Pool, clock: DatabaseClock, add_execution) -> Claim:
    """An execution of the task, granted."""

    async def claim(task_id: UUID) -> Grant:
        job = await add_execution(task_id)
        [grant] = (await Claims(pool, clock, sender="sender-1", ttl_s=30).claim([job])).grants
        return grant

    return claim


@pytest.fixture
async def deliver(
    pool: asyncpg.Pool, clock: DatabaseClock, recorder: Recorder, publisher: Publisher
) -> AsyncIterator[Deliver]:
    """The deliveries of a sender with these keys. Whatever it posts goes nowhere."""
    async with aiohttp.ClientSession() as session:

        def build(*keys: bytes, auto_disable_after: int = 10) -> Deliveries:
            sealer = Sealer(list(keys))
            poster = Poster(session, sealer, clock, timeout_s=5, allowed_hosts=(), allow_local=False)
            gate = Gate(
                Slots(50),
                Crowd(most_each=5, most_waiting=0, bring_back=lambda _: None),
                Destinations(pool, breaker=Breaker(5, 1, 60, probe_s=12)),
                Egress(pool, group="one", rules=Rules(per_s=50, invalid_most=10_000)),
                Claims(pool, clock, sender="sender-1", ttl_s=30),
            )
            waits: Any = NoWaits()
            parts = (gate, Starts(Slots(50)), poster, recorder, waits, publisher)
            return Deliveries(pool, *parts, auto_disable_after=auto_disable_after)

        yield build


class NoWaits:
    """Nothing waits for a retry here."""

    async def hold(self, jobs: Sequence[Any]) -> None:
        raise AssertionError(jobs)


async def put(connection: Any, task_id: UUID, key: bytes, url: str = URL) -> None:
    """Give a task its URL as an API with this first key does."""
    sealer = Sealer([key])
    statement = "UPDATE tasks SET webhook_url_sealed = $2, webhook_url_hash = $3 WHERE id = $1"
    await connection.execute(statement, task_id, sealer.seal(url, context=task_id.bytes), sealer.hash(url))


async def statuses(pool: asyncpg.Pool, ids: Sequence[UUID]) -> list[str]:
    rows = {row["id"]: row["status"] for row in await pool.fetch("SELECT id, status FROM tasks")}
    return [rows[id_] for id_ in ids]


async def waits_for_a_lock(connection: Any) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
    )


async def follow_up(deliveries: Deliveries, grant: Grant) -> None:
    """What comes of a webhook that is gone, but for the report to operators."""
    await deliveries.follow_up(grant, GONE, Recorded(None, counts=False, failures_in_row=0))  # type: ignore[arg-type]  # not looked at


@pytest.mark.parametrize("posted", [OLD, NEW])
@pytest.mark.parametrize("keys", [(NEW, OLD), (OLD, NEW)])
async def test_a_webhook_that_is_gone_stops_the_tasks_with_its_url_under_every_key(
    posted: bytes, keys: Sequence[bytes], pool: asyncpg.Pool, claim: Claim, deliver: Deliver, add_task: AddTask
):
    ids = [await add_task() for _ in range(5)]
    for task_id, key in zip(ids, (posted, OLD, NEW, OLD, NEW), strict=True):
        await put(pool, task_id, key)
    others = [await add_task() for _ in range(2)]
    for task_id, key in zip(others, (OLD, NEW), strict=True):
        await put(pool, task_id, key, OTHER_URL)

    await follow_up(deliver(*keys), await claim(ids[0]))

    assert await statuses(pool, ids) == ["FAILED"] * 5
    assert await statuses(pool, others) == ["ACTIVE"] * 2


async def test_a_task_that_gets_the_new_key_while_it_is_stopped_is_stopped_all_the_same(
    pool: asyncpg.Pool, other: asyncpg.Connection, claim: Claim, deliver: Deliver, add_task: AddTask
):
    ids = [await add_task() for _ in range(2)]
    for task_id in ids:
        await put(pool, task_id, OLD)
    grant = await claim(ids[0])
    async with other.transaction():
        await put(other, ids[1], NEW)
        stopping = asyncio.create_task(follow_up(deliver(NEW, OLD), grant))
        await eventually(lambda: waits_for_a_lock(pool))

    async with asyncio.timeout(WAIT_S):
        await stopping
    assert await statuses(pool, ids) == ["FAILED"] * 2


async def test_a_task_that_got_the_new_key_during_its_post_is_stopped_for_its_failures(
    pool: asyncpg.Pool, claim: Claim, deliver: Deliver, add_task: AddTask
):
    task_id = await add_task(max_retry=0)
    await put(pool, task_id, OLD, "https://elsewhere.invalid/hook")  # no host of ours: it fails for good
    grant = await claim(task_id)
    deliveries = deliver(NEW, OLD, auto_disable_after=1)

    attempt, recorded = await deliveries.post_and_record(grant)
    await put(pool, task_id, NEW, "https://elsewhere.invalid/hook")
    await deliveries.follow_up(grant, attempt, recorded)

    assert attempt.verdict.outcome == "permanent"
    assert await statuses(pool, [task_id]) == ["FAILED"]


async def test_a_key_that_is_missing_is_said_with_what_to_do_and_may_be_there_at_the_next_try(
    pool: asyncpg.Pool, claim: Claim, deliver: Deliver, add_task: AddTask
):
    task_id = await add_task()
    await put(pool, task_id, LOST)

    attempt, recorded = await deliver(NEW, OLD).post_and_record(await claim(task_id))

    assert attempt.verdict.outcome == "retryable"
    assert attempt.verdict.message == (
        f"the webhook URL cannot be opened: no key with the id {Sealer([LOST]).key_ids[0]} is in SEALING_KEYS: "
        "add the key that sealed it, or set the task's webhookUrl anew"
    )
    assert recorded.next.state == "waiting"
    assert await pool.fetchval("SELECT message FROM task_logs") == attempt.verdict.message


async def test_a_value_that_was_changed_fails_at_once(
    pool: asyncpg.Pool, claim: Claim, deliver: Deliver, add_task: AddTask
):
    task_id = await add_task()
    await put(pool, task_id, OLD)
    await pool.execute("UPDATE tasks SET webhook_url_sealed = webhook_url_sealed || 'more'")

    attempt, recorded = await deliver(OLD).post_and_record(await claim(task_id))

    assert attempt.verdict.outcome == "permanent"
    assert attempt.verdict.message == (
        "the webhook URL cannot be opened: the sealed value was changed, or belongs to another task: "
        "set the task's webhookUrl anew"
    )
    assert recorded.next.state == "failed"


async def test_a_missing_key_stops_no_task_however_often_it_is_missed(
    pool: asyncpg.Pool, claim: Claim, deliver: Deliver, add_task: AddTask
):
    task_id = await add_task(max_retry=0)
    await put(pool, task_id, LOST)
    deliveries = deliver(OLD, auto_disable_after=1)
    grant = await claim(task_id)

    attempt, recorded = await deliveries.post_and_record(grant)
    await deliveries.follow_up(grant, attempt, recorded)

    assert recorded.next.reason == f"retries exhausted: {attempt.verdict.message}"
    assert await pool.fetchval("SELECT state FROM executions") == "failed"
    assert await statuses(pool, [task_id]) == ["ACTIVE"]
    assert await pool.fetchval("SELECT count(*) FROM task_state") == 0
