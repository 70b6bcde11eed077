"""PostgreSQL crashes in the middle of a burst and recovers; or it is a standby for a while.

There is one case for a second POST: who was to record the answer to the first died before the database was back.
Which executions that concerns is known, so the second POSTs are counted one by one.
"""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from e2e.conftest import Start
from faults.burst import Burst
from faults.conftest import StartCast
from faults.own_servers import OwnServer, own_server
from faults.witness import Witness
from tocsin_common import migrations
from tocsin_local.receiver import Receiver
from tocsin_local.script import Script
from waiting import becomes_true

A_THOUSAND = pytest.mark.parametrize("burst", [1000], indirect=True)
SLOW = Script(delay_s=1)
MORE_THAN_AT_A_TIME = 301  # POST_SLOTS and one: some have been recorded, and this one will not be for a second
LEADS_AGAIN = "SELECT epoch > $1 AND expires_at > clock_timestamp() FROM scheduler_lease"
CLAIMS_RUN_OUT_SOON = {"POST_TIMEOUT_S": "4", "CLAIM_TTL_S": "5"}


@pytest.fixture
def server(rabbitmq_url: str) -> Iterator[OwnServer]:
    """A database server of the test's own."""
    with own_server("postgres", {"RABBITMQ_URL": rabbitmq_url}) as server:
        yield server


@pytest.fixture
async def database_url(server: OwnServer) -> str:
    await migrations.upgrade_async(server.urls.database_url)
    return server.urls.database_url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool, which connects again."""
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:
        yield pool


@A_THOUSAND
async def test_what_a_sender_could_not_record_before_it_died_is_posted_a_second_time_and_nothing_else(
    burst: Burst, witness: Witness, start: Start, start_cast: StartCast, server: OwnServer, receiver: Receiver
):
    leader, _, sender = await start_cast(of_sender=CLAIMS_RUN_OUT_SOON)
    burst.webhook.script = SLOW
    await burst.begin_until_frozen(leader)
    await receiver.wait_for_posts(MORE_THAN_AT_A_TIME)

    await server.crash()
    burst.webhook.script = Script()
    leader.thaw()
    await sender.logged("outcomes.kept")
    await sender.kill()
    await server.restart()
    recorded = await burst.recorded()
    unrecorded = {post.execution_id for post in receiver.posts} - recorded
    assert recorded
    assert unrecorded
    another = await start("tocsin-dispatcher", "send")
    await burst.settled()

    assert await another.stop() == 0
    assert await burst.problems(doubled=unrecorded) == []
    assert await witness.strangers() == []


async def test_schedulers_wait_while_the_database_is_a_standby_and_one_leads_once_it_is_promoted(
    start: Start, server: OwnServer, database: asyncpg.Pool
):
    known = await start("tocsin-dispatcher", "schedule")
    before = await known.logged("scheduler.leading")

    await server.crash()
    await known.logged("scheduler.stepped_down")
    await server.restart_as_standby()
    newcomer = await start("tocsin-dispatcher", "schedule")
    refused = await newcomer.logged("database.unavailable")
    server.promote()
    await becomes_true(database, LEADS_AGAIN, before["epoch"])

    assert "recovery is in progress" in refused["error"]
    assert [await known.stop(), await newcomer.stop()] == [0, 0]
