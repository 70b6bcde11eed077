"""The leader is hit in the middle of a burst, and a warm standby is there.

Where the middle is, is no matter of chance: the leader freezes at a failpoint, the test sees that some of the rows
are there and some are not, and then comes what the test is about.
"""

import pytest

from e2e.processes import Tocsin
from faults.burst import Burst
from faults.conftest import StartCast
from faults.witness import Witness
from relay import Relay

A_FEW = pytest.mark.parametrize("burst", [200], indirect=True)
A_THOUSAND = pytest.mark.parametrize("burst", [1000], indirect=True)

RARELY_EXPIRES = {"LEASE_TTL_S": "60", "LEASE_HOLD_S": "50", "DRAIN_TIMEOUT_S": "15"}
STAYS_A_WHILE = {"LEASE_TTL_S": "5", "LEASE_HOLD_S": "4.5"}


async def test_a_leader_that_was_frozen_in_mid_burst_steps_down_and_writes_nothing_when_it_wakes(
    burst: Burst, witness: Witness, start_cast: StartCast
):
    leader, standby, sender = await start_cast()
    await burst.begin_until_frozen(leader)

    await leads_next(standby, burst)
    leader.thaw()  # while the other one emits the rest
    await leader.logged("scheduler.stepped_down")
    await burst.settled()

    assert (await leader.stop(), await sender.stop()) == (0, 0)
    assert not leader.has_logged("lease.released")  # which was not its own any more
    assert await burst.problems() == []
    assert await witness.strangers() == []
    assert (await witness.rows_by_epoch()).keys() > {1}


async def test_a_leader_that_is_stopped_in_mid_burst_finishes_the_instant_and_hands_over(
    burst: Burst, witness: Witness, start_cast: StartCast
):
    leader, standby, sender = await start_cast(of_leader=RARELY_EXPIRES)
    await burst.begin_until_frozen(leader)

    status = await leader.stop()
    await leads_next(standby, burst)
    await burst.settled()

    assert (status, await sender.stop()) == (0, 0)
    assert await burst.problems() == []
    assert await witness.rows_by_epoch() == {1: burst.size}


@A_THOUSAND
async def test_a_leader_that_may_not_finish_the_instant_hands_over_in_the_middle_of_it(
    burst: Burst, witness: Witness, start_cast: StartCast
):
    leader, standby, sender = await start_cast(of_leader={"DRAIN_TIMEOUT_S": "0.01"})
    await burst.begin_until_frozen(leader)

    status = await leader.stop()
    await leads_next(standby, burst)
    await burst.settled()

    assert (status, await sender.stop()) == (0, 0)
    assert await burst.problems() == []
    assert await witness.strangers() == []
    assert (await witness.rows_by_epoch()).keys() > {1}


@A_THOUSAND
async def test_what_a_leader_sent_before_it_was_cut_off_from_the_database_is_refused_afterwards(
    burst: Burst, witness: Witness, start_cast: StartCast, environment: dict[str, str]
):
    async with Relay(environment["DATABASE_URL"]) as relay:
        leader, standby, sender = await start_cast(
            freezes_at="scheduler.rows_due", of_leader={**STAYS_A_WHILE, "DATABASE_URL": relay.url}
        )
        await burst.begin_until_frozen(leader)

        relay.freeze()  # before its next statement is sent; that one comes when the other leads
        leader.thaw()
        await leads_next(standby, burst)
        relay.thaw()
        await leader.logged("scheduler.stepped_down")
        await burst.settled()

        assert (await leader.stop(), await sender.stop()) == (0, 0)
    assert await burst.problems() == []
    assert [stranger.rows for stranger in await witness.strangers()] in ([], [0])
    assert (await witness.rows_by_epoch()).keys() > {1}


@A_FEW
async def test_a_leader_that_is_cut_off_from_rabbitmq_alone_lets_the_standby_lead_and_takes_the_lease_no_more(
    burst: Burst, witness: Witness, start_cast: StartCast, environment: dict[str, str]
):
    async with Relay(environment["RABBITMQ_URL"]) as relay:
        leader, standby, sender = await start_cast(of_leader={"RABBITMQ_URL": relay.url})

        await relay.cut()
        await leader.logged("scheduler.stepped_down")
        await leads_next(standby, burst)
        await burst.begin()
        await burst.settled()
        await relay.restore()

        assert (await leader.stop(), await sender.stop()) == (0, 0)
    assert await burst.problems() == []
    assert await witness.rows_by_epoch() == {2: burst.size}


async def leads_next(standby: Tocsin, burst: Burst) -> None:
    """Returns once it leads, with the tasks that it had read when it started."""
    leading = await standby.logged("scheduler.leading")
    assert leading["epoch"] > 1
    assert leading["tasks"] == burst.size
    assert len(standby.all_logged("tasks.loaded")) == 1
