"""RabbitMQ falls silent: its connections stand, and nothing comes through them any more.

After three heartbeats the client gives a connection up and ends the calls that are under way on it as if somebody
had cancelled them. Whoever made them goes on: what is owed is delivered by the very processes that were hit.
"""

import asyncpg
import pytest

from e2e.conftest import Start
from faults.burst import Burst
from faults.conftest import StartCast
from faults.witness import Witness
from relay import Relay

# The connection is given up after 6 to 7 s, and until then no call ends by its own bound.
WAITS_FOR_THE_HEARTBEAT = {"RABBITMQ_HEARTBEAT_S": "1", "PUBLISH_TIMEOUT_S": "60"}
RARELY_EXPIRES = {"LEASE_TTL_S": "60", "LEASE_HOLD_S": "50"}

# Longer than a sender waits for in memory, so that it hands them to a tier of the broker.
ALL_WAIT = "UPDATE executions SET state = 'waiting', next_at = clock_timestamp() + interval '9 s'"


@pytest.mark.parametrize("burst", [1000], indirect=True)
async def test_a_leader_whose_broker_falls_silent_in_mid_burst_announces_the_rest_itself(
    burst: Burst, witness: Witness, start_cast: StartCast, environment: dict[str, str]
):
    async with Relay(environment["RABBITMQ_URL"]) as relay:
        hit = {**WAITS_FOR_THE_HEARTBEAT, **RARELY_EXPIRES, "RABBITMQ_URL": relay.url}
        leader, _, sender = await start_cast(of_leader=hit)
        await burst.begin_until_frozen(leader)

        relay.freeze()
        leader.thaw()
        await leader.logged("jobs.unconfirmed")
        relay.thaw()
        await burst.settled()

        assert (await leader.stop(), await sender.stop()) == (0, 0)
    assert await burst.problems() == []
    assert await witness.rows_by_epoch() == {1: burst.size}


@pytest.mark.parametrize("burst", [200], indirect=True)
async def test_a_sender_whose_broker_falls_silent_while_it_claims_posts_everything_itself(
    burst: Burst, start: Start, database: asyncpg.Connection, environment: dict[str, str]
):
    scheduler = await start("tocsin-dispatcher", "schedule", SWEEP_PATIENCE_S="1")
    await scheduler.logged("scheduler.leading")
    await burst.begin()
    await scheduler.logged("executions.emitted")
    async with Relay(environment["RABBITMQ_URL"]) as relay:
        hit = {**WAITS_FOR_THE_HEARTBEAT, "RABBITMQ_URL": relay.url}
        sender = await start("tocsin-dispatcher", "send", freezes_at="sender.job_received", **hit)
        await sender.frozen()
        await database.execute(ALL_WAIT)

        relay.freeze()
        sender.thaw()
        await sender.logged("jobs.unconfirmed")
        relay.thaw()
        await burst.settled()

        assert await sender.stop() == 0
    assert await burst.problems() == []
