"""Leadership on a real database: one at a time, by the database's clock."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import asyncpg
import pytest

from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.scheduler.lease import Lease, LeaseLostError
from waiting import becomes_true

NewLease = Callable[..., Lease]


@pytest.fixture
def new_lease(pool: asyncpg.Pool) -> NewLease:
    def build(holder: str, *, ttl_s: float = 30, renew_s: float = 0.01, hold_s: float = 20) -> Lease:
        return Lease(
            pool,
            DatabaseClock(),
            holder=holder,
            ttl_s=ttl_s,
            renew_s=renew_s,
            hold_s=hold_s,
            reboot_after_s=60,
        )

    return build


async def expire(pool: asyncpg.Pool) -> None:
    await pool.execute("UPDATE scheduler_lease SET expires_at = clock_timestamp() - interval '1 ms'")


async def test_only_one_of_many_takes_a_free_lease(new_lease: NewLease):
    leases = [new_lease(f"scheduler-{n}") for n in range(8)]

    standings = await asyncio.gather(*(lease.take() for lease in leases))

    assert sum(standing is not None for standing in standings) == 1


async def test_an_expired_lease_goes_to_the_next_with_a_higher_epoch(new_lease: NewLease, pool: asyncpg.Pool):
    first, second = new_lease("first"), new_lease("second")
    began = await first.take()
    assert await second.take() is None
    await expire(pool)

    took_over = await second.take()

    assert began is not None
    assert took_over is not None
    assert took_over.epoch == began.epoch + 1
    assert took_over.watermark == began.watermark


async def test_a_released_lease_is_free_at_once(new_lease: NewLease):
    first, second = new_lease("first"), new_lease("second")
    await first.take()

    assert await first.release()

    assert await second.take() is not None
    with pytest.raises(LeaseLostError):
        first.check()


async def test_a_lease_that_another_one_took_is_not_released(new_lease: NewLease, pool: asyncpg.Pool):
    first, second = new_lease("first"), new_lease("second")
    await first.take()
    await expire(pool)
    await second.take()

    assert not await first.release()

    second.check()
    assert await first.take() is None


async def test_the_holder_may_begin_a_new_term_before_its_old_one_expired(new_lease: NewLease):
    lease = new_lease("holder")
    first = await lease.take()

    second = await lease.take()

    assert first is not None
    assert second is not None
    assert second.epoch == first.epoch + 1


async def test_who_lets_others_come_first_takes_only_what_has_been_free_for_so_long(
    new_lease: NewLease, pool: asyncpg.Pool
):
    first, patient = new_lease("first"), new_lease("patient")
    await first.take()
    await first.release()

    assert await patient.take(free_for_s=60) is None
    await pool.execute("UPDATE scheduler_lease SET expires_at = clock_timestamp() - interval '61 s'")
    assert await patient.take(free_for_s=60) is not None
    assert await patient.take(free_for_s=60) is None  # not even its own


async def test_renewing_keeps_the_lease_from_others(new_lease: NewLease, pool: asyncpg.Pool):
    lease, other = new_lease("holder", ttl_s=0.5, hold_s=0.4), new_lease("other")
    await lease.take()
    first_end = await pool.fetchval("SELECT expires_at FROM scheduler_lease")
    keeping = asyncio.create_task(lease.keep())

    await becomes_true(pool, "SELECT clock_timestamp() > $1", first_end)

    assert await other.take() is None
    lease.check()
    keeping.cancel()


async def test_a_holder_learns_that_another_took_over(new_lease: NewLease, pool: asyncpg.Pool):
    lease, other = new_lease("holder"), new_lease("other")
    await lease.take()
    await expire(pool)
    await other.take()

    with pytest.raises(LeaseLostError, match="another scheduler"):
        await asyncio.wait_for(lease.keep(), 5)


async def test_a_holder_that_cannot_renew_stops_by_itself(new_lease: NewLease, pool: asyncpg.Pool):
    lease = new_lease("holder", hold_s=0.3)
    await lease.take()
    await pool.close()

    with pytest.raises(LeaseLostError, match="not renewed in time"):
        await asyncio.wait_for(lease.keep(), 5)


async def test_scheduling_starts_anew_where_nobody_led_for_a_minute_or_ever(
    new_lease: NewLease, pool: asyncpg.Pool
):
    first = await new_lease("first").take()
    await pool.execute("UPDATE scheduler_lease SET expires_at = clock_timestamp() - interval '59 s'")
    soon_after = await new_lease("second").take()
    await pool.execute("UPDATE scheduler_lease SET expires_at = clock_timestamp() - interval '61 s'")

    later = await new_lease("third").take()

    assert first is not None
    assert soon_after is not None
    assert later is not None
    assert first.reboot_at is not None
    assert soon_after.reboot_at == first.reboot_at
    assert later.reboot_at is not None
    assert later.reboot_at > first.reboot_at


async def test_a_restart_by_the_book_does_not_start_scheduling_anew(new_lease: NewLease):
    first, second = new_lease("first"), new_lease("second")
    began = await first.take()
    await first.release()

    went_on = await second.take()

    assert began is not None
    assert went_on is not None
    assert went_on.reboot_at == began.reboot_at


async def test_each_renewal_shows_what_the_leader_holds(new_lease: NewLease, pool: asyncpg.Pool):
    lease = new_lease("holder")
    await lease.take()
    due_at = datetime(2030, 1, 31, 9, tzinfo=UTC)
    lease.show(tasks=7, schedules=3, next_due_at=due_at)
    keeping = asyncio.create_task(lease.keep())

    await becomes_true(pool, "SELECT (tasks, schedules, next_due_at) = (7, 3, $1) FROM scheduler_lease", due_at)

    keeping.cancel()
