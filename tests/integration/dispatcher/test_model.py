"""The simulator's model of the database says what the real one says, whatever is asked in whatever order."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from integration.dispatcher.conftest import DAY
from simulation.database import OPEN, Database, Lease, Revision
from simulation.statements import Row, find, known
from tocsin_dispatcher.scheduler import emission_sql, feed_sql, lease_sql, partition_sql, sweep_sql
from tocsin_dispatcher.scheduler.partitions import PARENTS, Partitions

SEEDS = 8
STEPS = 120
NEAR = timedelta(days=2)
CLOSE = timedelta(minutes=1)
HOLDERS = ("one", "another")
HOUR = timedelta(hours=1)
TASKS = tuple(UUID(int=n) for n in (1, 2, 257, 258))

ADD_REVISION = """
INSERT INTO task_revisions (task_id, revision, effective_from, status, destination, schedule, timezone, run_at,
                            starts_at, ends_at, catch_up, jitter_s)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
ADD_TASK = """
INSERT INTO tasks (id, revision, effective_from, status, destination, schedule, timezone, run_at, starts_at,
                   ends_at, catch_up, jitter_s, name, webhook_url_sealed, webhook_url_hash, webhook_url_masked,
                   payload, max_retry, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'a task', '', '', '', '{}', 3, $3, $3)
ON CONFLICT (id) DO UPDATE
SET revision = excluded.revision, effective_from = excluded.effective_from, status = excluded.status,
    destination = excluded.destination, schedule = excluded.schedule, timezone = excluded.timezone,
    run_at = excluded.run_at, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
    catch_up = excluded.catch_up, jitter_s = excluded.jitter_s
"""
EXECUTIONS = """
SELECT scheduled_for, task_id, kind, destination, next_at, give_up_at, state, reason, seq, lost_claims, sweeps,
       jitter_ms, missed_from, missed_count
FROM executions ORDER BY scheduled_for, task_id
"""
LEASE = """
SELECT watermark, holder, epoch, expires_at, gap_until, gap_snapshot, database_id, reboot_at, tasks, schedules,
       next_due_at
FROM scheduler_lease
"""
ATTACHED = "SELECT array_agg(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = $1::text::regclass"
XIDS = ("xid", "next_xid", "feed_xid", "feed_snapshot", "snapshot")
"""The two number their transactions differently."""
SET_EXECUTION = """
UPDATE executions SET state = $3, next_at = $4, give_up_at = $5, seq = seq + 1, lost_claims = $6, sweeps = $7
WHERE scheduled_for = $1 AND task_id = $2
"""


class Pair:
    """The real database and its model, which are asked the same."""

    def __init__(self, pool: asyncpg.Pool, model: Database, random: Random) -> None:
        self.pool = pool
        self.model = model
        self.random = random
        self.position = (0, 0)
        """Where each of the two goes on to read: the numbers of their transactions differ."""
        self.writing: list[tuple[asyncpg.Connection, Any, Revision, int]] = []
        self._statements = known()

    async def ask(self, text: str, *arguments: Any, modelled: tuple[Any, ...] | None = None) -> list[Any]:
        """What both answer; it must be the same."""
        try:
            real = list(await self.pool.fetch(text, *arguments))
        except asyncpg.CheckViolationError:
            real = None
        now = await self.pool.fetchval("SELECT clock_timestamp()")
        self.model.clock = lambda: now
        name, meaning = find(self._statements, text)
        self.model.added.clear()
        try:
            answer = meaning(self.model, self.model.now_visible(), *(arguments if modelled is None else modelled))
        except asyncpg.CheckViolationError:
            answer = None
        if real is None or answer is None:
            assert real is answer, f"{name}: only one refuses {arguments}"
            return []
        self._compare(name, [dict(row) for row in real], answer)
        return [real, answer]

    def _compare(self, name: str, real: list[dict[str, Any]], model: list[Row]) -> None:
        modelled = [row.as_dict() for row in model]
        unordered = name in (
            "GIVE_UP",
            "OVERDUE",
            "FINISH_ONCE",
            "TALLY",
            "UNCHANGED",
            "TASKS_IN_BUCKETS",
        )
        first, second = (
            [[value for key, value in row.items() if key not in XIDS] for row in rows] for rows in (real, modelled)
        )
        if unordered:
            first, second = sorted(first, key=str), sorted(second, key=str)
        assert len(first) == len(second), f"{name}: {first} is not {second}"
        for one, other in zip(first, second, strict=True):
            assert is_same(one, other, self.model.clock()), f"{name}: {one} is not {other}"

    async def check_tables(self) -> None:
        """Both hold the same rows."""
        names = [name.strip() for name in EXECUTIONS.split("SELECT")[1].split("FROM")[0].split(",")]
        real = [list(row) for row in await self.pool.fetch(EXECUTIONS)]
        model = [[getattr(row, name) for name in names] for _, row in sorted(self.model.executions.items())]
        assert is_same(real, model, self.model.clock()), f"{real}\n{model}"
        lease = dict(await self.pool.fetchrow(LEASE))
        assert is_same(
            list(lease.values()), [getattr(self.model.lease, name) for name in lease], self.model.clock()
        )


def is_same(one: Any, other: Any, now: datetime) -> bool:
    """Equal; but two looks at the clock lie apart."""
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(is_same(*each, now) for each in zip(one, other, strict=True))
    if isinstance(one, datetime) and isinstance(other, datetime) and abs(one - now) < NEAR:
        return abs(one - other) < CLOSE
    return bool(one == other)


Step = Callable[[Pair], Awaitable[Any]]


def _leader(pair: Pair) -> tuple[str, int]:
    """Most often the one that leads."""
    lease = pair.model.lease
    if pair.random.random() < 0.8 and lease.holder is not None:
        return lease.holder, lease.epoch
    return pair.random.choice(HOLDERS), lease.epoch - pair.random.randrange(2)


def _database(pair: Pair) -> str:
    """Most often the one that answers."""
    return pair.random.choice((pair.model.database_id,) * 4 + ("another",))


def _instant(pair: Pair) -> datetime:
    return DAY + timedelta(seconds=pair.random.randrange(12) * 5)


def _rows(pair: Pair, most: int) -> list[tuple[datetime, UUID]]:
    found = {(_instant(pair), pair.random.choice(TASKS)) for _ in range(pair.random.randrange(most + 1))}
    if pair.random.random() < 0.03:
        found.add((DAY + timedelta(days=40), TASKS[0]))  # there is no place for it
    return sorted(found)


async def take(pair: Pair) -> None:
    ttl = pair.random.choice((HOUR, HOUR, -HOUR))
    reboot_after, free_for = pair.random.choice((HOUR / 2, 2 * HOUR)), pair.random.choice((0 * HOUR, HOUR / 2))
    await pair.ask(lease_sql.TAKE_LEASE, pair.random.choice(HOLDERS), ttl, reboot_after, free_for)


async def renew(pair: Pair) -> None:
    await pair.ask(lease_sql.RENEW_LEASE, *_leader(pair), pair.random.choice((HOUR, HOUR, -HOUR)), 5, 3, DAY)


async def release(pair: Pair) -> None:
    await pair.ask(lease_sql.RELEASE_LEASE, *_leader(pair))


async def freeze(pair: Pair) -> None:
    await pair.ask(emission_sql.FREEZE_GAP, *_leader(pair), _instant(pair), "700:701:", _database(pair))


async def close(pair: Pair) -> None:
    leader, (real, model) = (*_leader(pair), _database(pair)), pair.position
    await pair.ask(emission_sql.CLOSE_GAP, *leader, real, None, modelled=(*leader, model, None))


async def adopt(pair: Pair) -> None:
    leader = _leader(pair)
    real, model = pair.position
    whose = _database(pair)
    await pair.ask(emission_sql.ADOPT_POSITION, *leader, real, None, whose, modelled=(*leader, model, None, whose))


async def emit(pair: Pair) -> None:
    rows, leader = _rows(pair, 4), _leader(pair)
    watermark = pair.random.choice((None, _instant(pair)))
    columns = (
        [instant for instant, _ in rows],
        [task_id for _, task_id in rows],
        ["discord.com/1"] * len(rows),
        [pair.random.choice(("schedule", "once", "reboot")) for _ in rows],
        [pair.random.choice((0, 1500)) for _ in rows],
        HOUR,
        _database(pair),
        None,
    )
    real, model = pair.position
    modelled = (*leader, watermark, model, *columns)
    await pair.ask(emission_sql.EMIT, *leader, watermark, real, *columns, modelled=modelled)


async def miss(pair: Pair) -> None:
    leader, rows = _leader(pair), []
    for newest, task_id in _rows(pair, 3):
        count = pair.random.choice((None, 1, 2, 5))
        oldest = newest - timedelta(seconds=5 * pair.random.randrange(5))
        rows.append((task_id, "discord.com/1", pair.random.choice(("schedule", "once")), newest, oldest, count))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * 6
    await pair.ask(emission_sql.RECORD_MISSED, *leader, *columns, _database(pair))


async def send(pair: Pair) -> None:
    """A sender does something to a row."""
    if not pair.model.executions:
        return
    random, now = pair.random, await pair.pool.fetchval("SELECT clock_timestamp()")
    (instant, task_id), row = random.choice(sorted(pair.model.executions.items(), key=lambda item: item[0]))
    if row.state not in OPEN:
        return
    state = random.choice((*sorted(OPEN), "succeeded"))
    next_at, give_up_at = (now + random.choice((-2, -1, 1)) * HOUR for _ in range(2))
    next_at += timedelta(microseconds=random.randrange(10**9))  # or the order among equals would be chance
    lost, sweeps = random.randrange(3), random.randrange(3)
    await pair.pool.execute(SET_EXECUTION, instant, task_id, state, next_at, give_up_at, lost, sweeps)
    row.state, row.next_at, row.give_up_at, row.seq = state, next_at, give_up_at, row.seq + 1
    row.lost_claims, row.sweeps = lost, sweeps


async def give_up(pair: Pair) -> None:
    await pair.ask(sweep_sql.GIVE_UP, *_leader(pair), 2, pair.random.choice((2, 100)))


async def finish(pair: Pair) -> None:
    if not pair.writing:  # else it would wait for the transactions that the test itself holds open
        await pair.ask(sweep_sql.FINISH_ONCE, *_leader(pair), 100, pair.random.choice((None, DAY, _instant(pair))))


async def overdue(pair: Pair) -> None:
    patience, limit = pair.random.choice((HOUR / 4, HOUR)), pair.random.choice((2, 100))
    await pair.ask(sweep_sql.OVERDUE, *_leader(pair), patience, limit, pair.random.choice((True, False)))


async def write(pair: Pair) -> None:
    """A user changes a task; the transaction ends later."""
    random = pair.random
    task_id = random.choice(TASKS)
    if any(revision.task_id == task_id for _, _, revision, _ in pair.writing) or len(pair.writing) > 2:
        return
    old = pair.model.tasks.get(task_id)
    revision = Revision(
        task_id,
        1 if old is None else old.revision + 1,
        _instant(pair),
        random.choice(("ACTIVE", "ACTIVE", "INACTIVE", "DELETED")),
        "discord.com/1",
        random.choice(("* * * * *", "@daily")),
        "UTC",
        None,
        random.choice((None, DAY)),
        None,
        random.choice(("latest", "all")),
        random.choice((0, 5)),
        0,
    )
    if random.random() < 0.3:
        revision = revision._replace(schedule=None, run_at=_instant(pair))
    connection = await pair.pool.acquire()
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(ADD_REVISION, *revision[:12])
    await connection.execute(ADD_TASK, *revision[:12])
    pair.writing.append((connection, transaction, revision, pair.model.begin()))


async def end(pair: Pair) -> None:
    """A transaction ends, one way or the other."""
    if not pair.writing:
        return
    connection, transaction, revision, xid = pair.writing.pop(pair.random.randrange(len(pair.writing)))
    if pair.random.random() < 0.2:
        await transaction.rollback()
    else:
        await transaction.commit()
        pair.model.append(revision._replace(xid=xid))
    pair.model.end(xid)
    await pair.pool.release(connection)


async def feed(pair: Pair) -> None:
    real_since, model_since = pair.position
    known = [(since, f"{max(since, 1)}:{max(since, 1)}:") for since in (real_since, model_since)]
    real, model = await pair.ask(feed_sql.FEED, *known[0], modelled=known[1])
    if pair.random.random() < 0.5:
        where = await _same_place(pair, real[0]["next_xid"])
        # Transactions of other tests hold the real one back: never is it the one that is further.
        assert where <= model[0]["next_xid"]
        pair.position = real[0]["next_xid"], where


async def _same_place(pair: Pair, position: int) -> int:
    """Where in the model the same revisions lie ahead as in the real database at `position`."""
    ended = [
        pair.model.revisions[row["task_id"], row["revision"]].xid
        for row in await pair.pool.fetch("SELECT task_id, revision FROM task_revisions WHERE xid >= $1", position)
    ]
    writing = [
        xid
        for connection, _, _, xid in pair.writing
        if await connection.fetchval("SELECT pg_current_xact_id()") >= position
    ]
    return min([*ended, *writing, pair.model.next_xid])


async def load(pair: Pair) -> None:
    real, model = pair.position
    for text in feed_sql.SNAPSHOT_BY_XID:
        await pair.ask(text, real, modelled=(model,))
    for text in feed_sql.SNAPSHOT_BY_EFFECTIVE_FROM:
        await pair.ask(text, _instant(pair))


async def look(pair: Pair) -> None:
    await pair.ask(lease_sql.LEASE)
    await pair.ask(feed_sql.TALLY)
    await pair.ask(feed_sql.TASKS_IN_BUCKETS, [1, 2])
    await pair.ask(partition_sql.DAILY_PARTITIONS, PARENTS)


async def pause(pair: Pair) -> None:
    is_paused = pair.random.random() < 0.5
    pair.model.paused_at = DAY if is_paused else None
    await pair.pool.execute("UPDATE scheduler_pause SET paused_at = $1", pair.model.paused_at)


STEPS_OF: tuple[Step, ...] = (
    *(take, renew, release, freeze, close, adopt, look, pause, give_up, overdue, finish),
    *(emit, emit, emit, miss, miss, send, send, write, write, end, end, feed, load),
)


@pytest.fixture
async def pair_of(pool: asyncpg.Pool, partitions: Partitions) -> Callable[[int], Awaitable[Pair]]:
    """Both databases, empty; the random steps come from the seed."""

    async def pair_of(seed: int) -> Pair:
        await pool.execute("TRUNCATE executions, tasks, task_revisions")
        await pool.execute("UPDATE scheduler_pause SET paused_at = NULL")
        await pool.execute(
            "UPDATE scheduler_lease SET watermark = $1, holder = NULL, epoch = 0, expires_at = '-infinity',"
            " feed_xid = '0', gap_until = NULL, gap_snapshot = NULL, database_id = NULL, reboot_at = NULL,"
            " tasks = 0, schedules = 0, next_due_at = NULL",
            DAY,
        )
        model = Database(lambda: datetime.now(UTC), Lease(DAY))
        model.database_id = (await pool.fetchrow(lease_sql.LEASE))["current_database_id"]
        for parent in model.partitions:
            model.partitions[parent] = await pool.fetchval(ATTACHED, parent)
        return Pair(pool, model, Random(seed))  # noqa: S311 - the same steps each time are what is wanted

    return pair_of


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_the_model_answers_and_holds_what_the_real_database_does(pair_of, seed: int):
    pair = await pair_of(seed)

    for _ in range(STEPS):
        await pair.random.choice(STEPS_OF)(pair)

    while pair.writing:
        await end(pair)
    await pair.check_tables()
