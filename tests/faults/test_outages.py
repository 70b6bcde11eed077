"""Nobody leads for longer than the grace: each policy then fires what it should and counts what it does not.

What that is, `outage` says by looking at every second.
"""

from collections import Counter
from datetime import datetime, timedelta
from functools import partial

import asyncpg
import pytest

from e2e.conftest import Start
from e2e.processes import Tocsin
from faults.outage import Outage, Rules
from faults.population import Population, fired_ids
from relay import Relay
from tocsin_common.failpoints import Failpoint
from tocsin_common.sealing import Sealer
from tocsin_local.receiver import Receiver
from waiting import becomes_true

RULES = Rules(grace=timedelta(seconds=5), limit=3)
LONGER = timedelta(seconds=10)
MUCH_LONGER = timedelta(minutes=20)
COPIES = 3  # of each task, so that they are more than the 500 that the leader resolves together
CHUNK = 50
AN_INSTANT = 6  # executions that are owed each second, at least
MIDDLE = 15  # of the chunks that the first 500 leave

NEVER_CATCHES_UP = {"CATCH_UP_GRACE_S": "3600"}  # however long it takes to start

HAS_ROWS = "SELECT EXISTS (SELECT FROM executions)"
NOTHING_IS_EMITTED_FOR = "SELECT clock_timestamp() > watermark + $1::interval FROM scheduler_lease"
WATERMARK = "SELECT watermark FROM scheduler_lease"
HAS_COME_TO = "SELECT watermark > $1 FROM scheduler_lease"
NOTHING_IS_OPEN = """
SELECT NOT EXISTS (SELECT FROM executions WHERE scheduled_for <= $1 AND state IN ('due', 'waiting', 'running'))
"""


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {
        **environment,
        "CATCH_UP_GRACE_S": f"{RULES.grace.total_seconds():g}",
        "CATCH_UP_LIMIT": str(RULES.limit),
        "EMISSION_CHUNK": str(CHUNK),
    }


@pytest.fixture
def population(database: asyncpg.Connection, environment: dict[str, str], receiver: Receiver) -> Population:
    sealer = Sealer.from_setting(environment["SEALING_KEYS"])
    return Population(database, sealer, receiver.add().url, RULES)


def outages(*leaders: Tocsin) -> list[Outage]:
    """Those that the leaders say they decided on."""
    return [
        Outage(datetime.fromisoformat(event["since"]), datetime.fromisoformat(event["until"]))
        for leader in leaders
        for event in leader.all_logged("scheduler.catching_up")
    ]


def outages_with(since: datetime, *leaders: Tocsin) -> list[Outage]:
    """The same; but when the long one began, the test knows better."""
    found = outages(*leaders)
    before = [outage for outage in found if outage.until <= since]
    assert len(found) > len(before), "nobody has decided on it"
    long, *after = found[len(before) :]
    return [*before, long._replace(since=since), *after]


async def lasted_too_long(database: asyncpg.Connection) -> datetime:
    """Returns once nothing was emitted for longer than the grace: since when."""
    await becomes_true(database, NOTHING_IS_EMITTED_FOR, LONGER)
    since: datetime = await database.fetchval(WATERMARK)
    return since


async def works_again(database: asyncpg.Connection) -> datetime:
    """Returns once all that is owed by now has its row: up to when that holds."""
    now = await database.fetchval("SELECT clock_timestamp()")
    await becomes_true(database, HAS_COME_TO, now, timeout_s=60)
    until: datetime = await database.fetchval(WATERMARK)
    return until


async def test_after_an_outage_each_policy_fires_what_it_should_and_counts_the_rest(
    start: Start, population: Population, database: asyncpg.Connection, receiver: Receiver
):
    await population.create()
    sender = await start("tocsin-dispatcher", "send")
    first = await start("tocsin-dispatcher", "schedule", **NEVER_CATCHES_UP)
    await becomes_true(database, HAS_ROWS)
    await first.kill()

    since = await lasted_too_long(database)
    second = await start("tocsin-dispatcher", "schedule")
    until = await works_again(database)
    await becomes_true(database, NOTHING_IS_OPEN, until)

    assert await sender.stop() == 0
    assert await population.problems(outages_with(since, first, second), until) == []
    posted = Counter(post.execution_id for post in receiver.posts)
    assert {key: posted[key] for key in population.ids(until) if posted[key]} == Counter(
        fired_ids(await population.found(until))
    )


async def test_what_was_emitted_of_an_instant_before_the_outage_is_not_counted_as_missed(
    start: Start, population: Population, database: asyncpg.Connection
):
    await population.create()
    first = await start(
        "tocsin-dispatcher",
        "schedule",
        dies_at="scheduler.chunk_announced",
        EMISSION_CHUNK="2",
        **NEVER_CATCHES_UP,
    )
    await first.died()
    since = await lasted_too_long(database)
    emitted = {task_id: rows.fired for task_id, rows in (await population.found(since + LONGER)).items()}
    assert 0 < sum(at > since for fired in emitted.values() for at in fired) < AN_INSTANT

    second = await start("tocsin-dispatcher", "schedule")
    until = await works_again(database)

    assert await population.problems(outages_with(since, first, second), until, emitted) == []


async def test_an_outage_of_the_broker_alone_means_the_same(
    start: Start, population: Population, database: asyncpg.Connection, environment: dict[str, str]
):
    await population.create()
    async with Relay(environment["RABBITMQ_URL"]) as relay:
        schedule = partial(start, "tocsin-dispatcher", "schedule", RABBITMQ_URL=relay.url, FEED_POLL_S="60")
        leader, standby = await schedule(), await schedule()
        await becomes_true(database, HAS_ROWS)
        for scheduler in (leader, standby):  # whichever of them it is that leads
            await scheduler.logged("tasks.loaded")
        await relay.cut()

        since = await lasted_too_long(database)  # so long that who leads lets the other one lead meanwhile
        await relay.restore()
        until = await works_again(database)

        assert await leader.stop() == 0
        assert await standby.stop() == 0
    assert await population.problems(outages_with(since, leader, standby), until) == []


@pytest.mark.parametrize(
    ("failpoint", "nth", "leaves"),
    [
        pytest.param("scheduler.gap_frozen", 1, set(), id="before the first row"),
        pytest.param("scheduler.rows_due", 1, {"missed"}, id="before the first that fires"),
        pytest.param("scheduler.chunk_announced", MIDDLE, {"missed", "due"}, id="between two chunks"),
    ],
)
async def test_a_leader_that_dies_while_it_catches_up_is_followed_by_one_that_goes_on_as_of_the_same_instant(
    start: Start,
    population: Population,
    database: asyncpg.Connection,
    failpoint: Failpoint,
    nth: int,
    leaves: set[str],
):
    await population.create(age=MUCH_LONGER, copies=COPIES)
    first = await start("tocsin-dispatcher", "schedule", dies_at=failpoint, nth=nth)
    await first.died()
    frozen_until = await database.fetchval("SELECT gap_until FROM scheduler_lease")
    states = {row["state"] for row in await database.fetch("SELECT DISTINCT state FROM executions")}

    second = await start("tocsin-dispatcher", "schedule")
    until = await works_again(database)

    assert states == leaves
    assert [outage.until for outage in outages(first)] == [frozen_until]
    assert await population.problems(outages(first, second), until) == []
