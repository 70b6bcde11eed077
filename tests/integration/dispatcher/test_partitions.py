"""Daily partitions on a real database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tocsin_common.tables import OPEN_STATES
from tocsin_dispatcher.clock import SAMPLES, DatabaseClock
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.scheduler import app
from tocsin_dispatcher.scheduler.emitter import Emitter
from tocsin_dispatcher.scheduler.feed import Feed
from tocsin_dispatcher.scheduler.leader import Leader
from tocsin_dispatcher.scheduler.lease import Lease
from tocsin_dispatcher.scheduler.partitions import (
    DAY,
    PARENTS,
    OutsidePartitionsError,
    Partitions,
    Retention,
    day_of,
    days_ahead,
)
from tocsin_dispatcher.scheduler.revision import TICK
from waiting import becomes_true, eventually

MAINTENANCE_LOCK = "LOCK TABLE executions IN SHARE UPDATE EXCLUSIVE MODE"  # as ANALYZE takes it
ATTACHED = """
SELECT COALESCE(array_agg(inhrelid::regclass::text ORDER BY 1), '{}') FROM pg_inherits
WHERE inhparent = $1::text::regclass
"""
CAUGHT_UP = "SELECT watermark > $1 AND gap_until IS NULL FROM scheduler_lease"
Scheduling = Callable[..., AbstractAsyncContextManager[list[Any]]]
DAYS = [date(2026, 2, 28), date(2026, 3, 1)]


async def attached(pool: asyncpg.Pool, parent: str) -> list[str]:
    names: list[str] = await pool.fetchval(ATTACHED, parent)
    return names


async def test_each_day_gets_a_partition_of_both_tables(pool: asyncpg.Pool):
    await Partitions(pool).cover(DAYS)

    assert await attached(pool, "executions") == ["executions_20260228", "executions_20260301"]
    assert await attached(pool, "task_logs") == ["task_logs_20260228", "task_logs_20260301"]


async def test_several_processes_may_make_the_same_partitions_at_once(pool: asyncpg.Pool):
    await asyncio.gather(*(Partitions(pool).cover(DAYS) for _ in range(4)))

    assert len(await attached(pool, "executions")) == 2


async def test_a_day_begins_and_ends_in_utc(pool: asyncpg.Pool, add_execution, add_task):
    await Partitions(pool).cover(DAYS)
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    task_id = await add_task()

    await add_execution(task_id, midnight - timedelta(microseconds=1))
    await add_execution(task_id, midnight)

    counts = await pool.fetch(
        "SELECT tableoid::regclass::text AS name, count(*) FROM executions GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for row in counts] == [("executions_20260228", 1), ("executions_20260301", 1)]


async def test_days_ahead_that_could_not_be_made_while_a_table_was_locked_are_made_afterwards(
    pool: asyncpg.Pool, clock: DatabaseClock, database: asyncpg.Connection
):
    waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'executions'::regclass)"
    async with database.transaction():
        await database.execute(MAINTENANCE_LOCK)
        keeping = asyncio.create_task(Partitions(pool).keep_ahead(clock, 1, check_s=0.05))
        await becomes_true(pool, waits)
        await becomes_true(pool, f"SELECT NOT ({waits})")

    await becomes_true(pool, "SELECT count(*) = 2 FROM pg_inherits WHERE inhparent = 'executions'::regclass")
    keeping.cancel()
    await asyncio.wait({keeping})


async def test_a_table_that_is_locked_for_long_does_not_hold_up_what_is_due_today(
    pool: asyncpg.Pool, database: asyncpg.Connection, rabbitmq_url: str, scheduler_settings, add_task
):
    now = await pool.fetchval("SELECT clock_timestamp()")
    await Partitions(pool).cover(
        days_ahead(now + timedelta(minutes=-1), 0) + days_ahead(now + timedelta(minutes=1), 0)
    )
    task_id = await add_task(cron="* * * * * *", effective_from=now)
    settings = msgspec.structs.replace(scheduler_settings(), rabbitmq_url=rabbitmq_url)
    stop = asyncio.Event()

    async with database.transaction(), asyncio.TaskGroup() as group:
        await database.execute(MAINTENANCE_LOCK)
        group.create_task(app.run(settings, stop))
        await becomes_true(pool, "SELECT count(*) >= 2 FROM executions WHERE task_id = $1", task_id)
        stop.set()


def test_the_days_ahead_begin_today():
    assert days_ahead(datetime(2026, 2, 27, 23, 59, tzinfo=UTC), 2) == [date(2026, 2, 27), *DAYS]


@pytest.fixture
def noon() -> DatabaseClock:
    """A clock by which no day ends while a test runs."""
    clock = DatabaseClock()
    clock.sample(datetime(2026, 3, 1, 12, tzinfo=UTC))
    return clock


@pytest.fixture
def retention(noon: DatabaseClock) -> Retention:
    return Retention(noon, 90)


@pytest.fixture
async def old_days(pool: asyncpg.Pool, retention: Retention) -> list[date]:
    """The two newest days that are to be dropped, then the oldest one that is not; all with partitions."""
    days = [retention.oldest() - n * DAY for n in (3, 2, 1)]
    await Partitions(pool).cover(days)
    return days


def names(days: list[date]) -> list[str]:
    return [f"{parent}_{day:%Y%m%d}" for parent in PARENTS for day in days]


async def tables(pool: asyncpg.Pool) -> list[str]:
    """All partitions, and what is left of some."""
    rows = await pool.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '_[0-9]{8}$' ORDER BY 1"
    )
    return [row["relname"] for row in rows]


async def test_days_before_the_retention_are_dropped(pool: asyncpg.Pool, retention, old_days):
    dropped = await Partitions(pool, retention).drop_old()

    assert dropped == 4
    assert await tables(pool) == names(old_days[2:])


async def test_without_a_retention_everything_is_kept(pool: asyncpg.Pool, old_days):
    assert await Partitions(pool).drop_old() == 0

    assert await tables(pool) == names(old_days)


@pytest.mark.parametrize("state", OPEN_STATES)
async def test_a_day_is_kept_with_its_logs_until_its_executions_have_ended(
    pool: asyncpg.Pool, retention, old_days, add_task, add_execution, state
):
    await add_execution(await add_task(), midnight(old_days[0]), state=state)
    await add_execution(await add_task(), midnight(old_days[1]), state="failed")

    await Partitions(pool, retention).drop_old()
    kept = [name for name in await tables(pool) if name in names(old_days)]
    await pool.execute("UPDATE executions SET state = 'succeeded'")
    await Partitions(pool, retention).drop_old()

    assert kept == names([old_days[0], old_days[2]])
    assert [name for name in await tables(pool) if name in names(old_days)] == names(old_days[2:])


async def test_tables_that_are_not_the_schedulers_are_left_alone(pool: asyncpg.Pool, retention, old_days):
    ours = f"executions_{old_days[0]:%Y%m%d}"
    others = ["executions_19990230", "executions_19990101", "executions_1999_0101", "my_executions_19990101"]
    for name in others:
        await pool.execute(f"CREATE TABLE {name} (LIKE executions)")
    await pool.execute(f"ALTER TABLE executions DETACH PARTITION {ours}")  # an operator keeps this one

    await Partitions(pool, retention).drop_old()

    found = {row["relname"] for row in await pool.fetch("SELECT relname FROM pg_class WHERE relkind = 'r'")}
    assert {ours, *others} <= found


async def test_a_partition_that_is_named_otherwise_is_left_alone(pool: asyncpg.Pool, retention):
    await pool.execute("CREATE TABLE executions_of_1999 (LIKE executions INCLUDING CONSTRAINTS)")
    await pool.execute(
        "ALTER TABLE executions ATTACH PARTITION executions_of_1999"
        " FOR VALUES FROM ('1999-01-01') TO ('2000-01-01')"
    )

    await Partitions(pool, retention).drop_old()

    assert await attached(pool, "executions") == ["executions_of_1999"]


async def test_a_reader_delays_what_is_dropped_and_nothing_else(
    pool: asyncpg.Pool,
    noon: DatabaseClock,
    retention,
    old_days,
    database: asyncpg.Connection,
    add_task,
    add_execution,
):
    today = noon.now()
    async with database.transaction():
        await database.fetch("SELECT FROM executions")
        with structlog.testing.capture_logs() as logs:
            keeping = asyncio.create_task(Partitions(pool, retention).keep_ahead(noon, 1, check_s=0.05))
            await eventually(lambda: said(logs, "partitions.delayed"))
        # Each try keeps others waiting for a tenth of a second at most.
        await add_execution(await add_task(), today)
        far_ahead = today.date() + 10 * DAY
        await Partitions(pool, retention).cover([far_ahead])
        assert set(names(old_days)) <= set(await tables(pool))

    await becomes_true(pool, f"SELECT to_regclass('{names(old_days)[-2]}') IS NULL")
    assert not keeping.done()
    keeping.cancel()
    await asyncio.wait({keeping})
    assert not set(names(old_days[:2])) & set(await tables(pool))


async def said(logs: list[Any], event: str) -> bool:
    return any(entry["event"] == event for entry in logs)


@pytest.mark.parametrize(
    ("function", "days_from_now"), [("make_partitions", 401), ("drop_partitions", -2), ("drop_partitions", 0)]
)
async def test_days_that_no_setting_asks_for_are_refused_whoever_calls(
    pool: asyncpg.Pool, now, function, days_from_now
):
    with pytest.raises(asyncpg.RaiseError, match="yet"):
        await pool.execute(f"SELECT {function}($1)", now.date() + days_from_now * DAY)


async def test_two_processes_may_drop_at_once(pool: asyncpg.Pool, retention, old_days):
    await asyncio.gather(*(Partitions(pool, retention).drop_old() for _ in range(4)))

    assert await tables(pool) == names(old_days[2:])


async def test_emission_goes_on_while_partitions_are_dropped(
    pool: asyncpg.Pool, retention, old_days, add_task, add_execution
):
    today = retention.clock.now()
    await Partitions(pool).cover([today.date()])
    task_id = await add_task()

    dropping = asyncio.create_task(Partitions(pool, retention).drop_old())
    count = 0
    while not dropping.done():
        count += 1
        await add_execution(task_id, today + timedelta(microseconds=count))

    assert await dropping == 4
    assert await pool.fetchval("SELECT count(*) FROM executions") == count


@pytest.mark.parametrize(
    ("days_from_now", "is_refused"), [(-92, True), (-91, False), (0, False), (366, False), (367, True)]
)
async def test_days_that_rows_are_not_kept_for_are_refused(
    pool: asyncpg.Pool, noon: DatabaseClock, retention, days_from_now, is_refused
):
    today = noon.now().date()
    day = today + days_from_now * DAY
    refusal = pytest.raises(OutsidePartitionsError, match=str(day)) if is_refused else nullcontext()

    with refusal:
        await Partitions(pool, retention).cover([today, day])

    made = {f"executions_{each:%Y%m%d}" for each in (today, day)}
    assert set(await attached(pool, "executions")) == (set() if is_refused else made)


async def test_a_day_that_was_dropped_is_refused_also_where_it_was_known(
    pool: asyncpg.Pool, noon: DatabaseClock, retention
):
    partitions = Partitions(pool, retention)
    day = retention.oldest()
    await partitions.cover([day])
    for _ in range(SAMPLES):
        noon.sample(noon.now() + timedelta(days=2))

    await partitions.drop_old()

    with pytest.raises(OutsidePartitionsError):
        await partitions.cover([day])
    assert await tables(pool) == []


@pytest.mark.parametrize("hours_later", [0, 1, 13, 23.9])
def test_for_a_day_it_is_the_same_what_a_decision_may_write(noon: DatabaseClock, retention, hours_later):
    decided_at = noon.now()
    pass_by(noon, timedelta(hours=hours_later))

    kept_from = retention.kept_from(decided_at)

    assert kept_from == decided_at - 90 * DAY
    retention.check([kept_from.date(), (kept_from - TICK).date()])


def test_of_what_was_decided_on_long_ago_nothing_is_written_that_is_refused(noon: DatabaseClock, retention):
    decided_at = noon.now()
    pass_by(noon, timedelta(days=20))

    kept_from = retention.kept_from(decided_at)

    assert decided_at - 72 * DAY < kept_from < decided_at - 70 * DAY
    retention.check([kept_from.date(), (kept_from - TICK).date()])


def pass_by(clock: DatabaseClock, time: timedelta) -> None:
    """Let time pass by that clock."""
    later = clock.now() + time
    for _ in range(SAMPLES):
        clock.sample(later)


@pytest.fixture
def scheduling(pool: asyncpg.Pool, rabbitmq_url: str, scheduler_settings) -> Scheduling:
    """The process, while the block lasts; gives what it logs."""

    @asynccontextmanager
    async def scheduling(**changes: Any) -> AsyncIterator[list[Any]]:
        settings = msgspec.structs.replace(scheduler_settings(**changes), rabbitmq_url=rabbitmq_url)
        stop = asyncio.Event()
        with structlog.testing.capture_logs() as logs:
            async with asyncio.TaskGroup() as group:
                group.create_task(app.run(settings, stop))
                yield logs
                stop.set()

    return scheduling


@pytest.fixture
async def now(pool: asyncpg.Pool) -> datetime:
    return await pool.fetchval("SELECT clock_timestamp()")


async def test_the_process_drops_what_its_setting_does_not_keep(pool: asyncpg.Pool, scheduling, now):
    old, kept = now.date() - 10 * DAY, now.date() - 7 * DAY
    await Partitions(pool).cover([old, kept])

    async with scheduling(log_retention_days=7):
        await becomes_true(pool, f"SELECT to_regclass('task_logs_{old:%Y%m%d}') IS NULL")

    assert not set(names([old])) & set(await tables(pool))
    assert set(names([kept])) <= set(await tables(pool))


async def test_an_outage_that_is_longer_than_the_retention_is_caught_up_with(
    pool: asyncpg.Pool, scheduling, add_task, now
):
    last = now - 8 * DAY
    since, rare = now - 10 * DAY, f"0 {last.hour} {last.day} {last.month} *"
    await pool.execute("UPDATE scheduler_lease SET watermark = $1", since)
    for policy in ("latest", "all", "skip"):
        await add_task(cron=rare, catch_up=policy, effective_from=since)
    frequent = await add_task(cron="@hourly", effective_from=since)

    async with scheduling(log_retention_days=7) as logs:
        await becomes_true(pool, CAUGHT_UP, now)

    rows = await pool.fetch("SELECT * FROM executions ORDER BY scheduled_for")
    assert {row["task_id"] for row in rows} == {frequent}
    missed = [row for row in rows if row["state"] == "missed"]
    assert [row["missed_count"] for row in missed] == [7 * 24 - 1]
    assert timedelta(0) <= missed[0]["missed_from"] - (now - 7 * DAY) <= timedelta(hours=1, minutes=1)
    [cut] = [entry for entry in logs if entry["event"] == "executions.beyond_retention"]
    assert cut["tasks"] == 4
    assert since < datetime.fromisoformat(cut["oldest"]) < last
    assert last < datetime.fromisoformat(cut["newest"]) < now - 7 * DAY + timedelta(minutes=1)


async def test_a_change_that_is_older_than_the_retention_owes_what_is_kept(
    pool: asyncpg.Pool, scheduling, add_task, now
):
    async with scheduling(log_retention_days=7, feed_poll_s=0.1) as logs:
        await becomes_true(pool, CAUGHT_UP, now)

        task_id = await add_task(cron="@daily", catch_up="all", effective_from=now - 20 * DAY)

        await becomes_true(pool, "SELECT count(*) >= 7 FROM executions WHERE task_id = $1", task_id)
        await eventually(lambda: said(logs, "executions.beyond_retention"))

    oldest = await pool.fetchval("SELECT min(COALESCE(missed_from, scheduled_for)) FROM executions")
    assert now - 7 * DAY <= oldest


async def test_what_may_have_no_partition_ends_a_term_and_not_the_process(
    pool: asyncpg.Pool, scheduling, add_task, now
):
    """As where the database's clock was ahead when a gap was decided on."""
    await add_task(cron="@daily", effective_from=now)
    await pool.execute("UPDATE scheduler_lease SET watermark = $1, gap_until = $2", now, now + 400 * DAY)

    async with scheduling(standby_poll_s=0.1) as logs:
        await eventually(lambda: said(logs, "scheduler.stepped_down"))
        await pool.execute("UPDATE scheduler_lease SET gap_until = NULL")
        await becomes_true(pool, CAUGHT_UP, now)

    assert any("outside" in entry.get("reason", "") for entry in logs)
    assert not await pool.fetchval("SELECT count(*) FROM executions WHERE scheduled_for > $1", now + 2 * DAY)


async def test_what_an_earlier_term_found_is_looked_for_again(
    pool: asyncpg.Pool, clock: DatabaseClock, publisher: Publisher, scheduler_settings
):
    """As after a restore: the database that is back may lack the days that were made in the other."""
    partitions, today = Partitions(pool), clock.now().date()
    lease = Lease(pool, clock, holder="it", ttl_s=60, renew_s=1, hold_s=50, reboot_after_s=60)
    emitter = Emitter(pool, lease, clock, partitions, publisher, scheduler_settings())
    leader = Leader(lease, Feed(pool, clock), emitter, publisher, clock, asyncio.Event(), scheduler_settings())
    await partitions.cover([today])
    for name in names([today]):
        await pool.execute(f"DROP TABLE {name}")
    stop, standing = asyncio.Event(), await lease.take()
    stop.set()

    await leader.lead(standing, stop)
    await partitions.cover([today])

    assert set(names([today])) <= set(await tables(pool))


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@given(st.dates())
def test_a_day_is_read_from_its_partitions_name(day: date):
    assert day_of(f"executions_{day.year:04}{day:%m%d}") == day


@pytest.mark.parametrize("name", ["executions_20260230", "executions_00000101", "executions_20261301"])
def test_a_name_that_holds_no_day_has_none(name: str):
    assert day_of(name) is None
