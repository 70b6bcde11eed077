"""What holds for an address, on a real database."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
import structlog

from tocsin_common.messages import Job
from tocsin_dispatcher.sender.budget import Rules
from tocsin_dispatcher.sender.egress import Egress

from .conftest import DAY, counted

RULES = Rules(per_s=3, invalid_most=10)
NO_INSERT = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'it is there already'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON egress_groups EXECUTE FUNCTION refuse();
"""


@pytest.fixture
def egress(pool: asyncpg.Pool) -> Egress:
    return Egress(pool, group="one", rules=RULES)


@pytest.fixture
def some_jobs(add_task, add_execution):
    async def add(count: int) -> list[Job]:
        task_id = await add_task()
        return [await add_execution(task_id, DAY + timedelta(seconds=n)) for n in range(count)]

    return add


async def test_what_finds_no_room_waits_with_a_slot(egress: Egress, some_jobs, pool):
    jobs = await some_jobs(5)

    postponed = await egress.postpone(jobs)

    assert [job for job, _ in postponed] == jobs[3:]
    assert [wait_s for _, wait_s in postponed] == pytest.approx([1.0, 1.33], abs=0.2)
    rows = await pool.fetch("SELECT state, has_slot FROM executions ORDER BY scheduled_for")
    assert [tuple(row) for row in rows] == [("due", False)] * 3 + [("waiting", True)] * 2


async def test_who_waited_goes_before_those_that_come_new(egress: Egress, some_jobs, pool):
    waited = (await egress.postpone(await some_jobs(4)))[0][0]
    await pool.execute("UPDATE executions SET next_at = clock_timestamp() - interval '1 s'")
    await pool.execute("UPDATE egress_groups SET window_from = window_from - interval '2 s'")
    new = await some_jobs(3)

    postponed = await egress.postpone([*new, waited])

    assert waited not in [job for job, _ in postponed]


async def test_senders_of_a_group_share_its_room_and_other_groups_have_their_own(egress: Egress, some_jobs, pool):
    other, elsewhere = (Egress(pool, group=group, rules=RULES) for group in ("one", "two"))
    parts = [await some_jobs(2) for _ in range(4)]

    postponed = await asyncio.gather(
        egress.postpone(parts[0]), other.postpone(parts[1]), egress.postpone(parts[2]), other.postpone(parts[3])
    )

    assert sum(map(len, postponed)) == 5
    assert await elsewhere.postpone(await some_jobs(3)) == []


async def test_half_of_the_budget_of_invalid_answers_slows_and_says_so(egress: Egress, some_jobs):
    before = counted("answers_invalid")
    with structlog.testing.capture_logs() as logs:
        for _ in range(RULES.invalid_most // 2):
            assert len(await egress.postpone(await some_jobs(1))) in (0, 1)
            await egress.count_invalid()
        assert logs == []

        assert len(await egress.postpone(await some_jobs(3))) >= 2

    assert counted("answers_invalid") == before + 5
    assert [(line["event"], line["egress_group"]) for line in logs] == [("egress.slowed", "one")]


async def test_invalid_answers_of_earlier_periods_do_not_count(egress: Egress, some_jobs, pool):
    for _ in range(RULES.invalid_most):
        await egress.count_invalid()
    await pool.execute("UPDATE egress_groups SET invalid_from = invalid_from - interval '10 min'")
    await egress.count_invalid()

    assert await egress.postpone(await some_jobs(3)) == []


async def test_a_block_of_the_address_lets_nothing_begin(egress: Egress, some_jobs):
    await egress.block(60)

    postponed = await egress.postpone(await some_jobs(2))

    assert [wait_s for _, wait_s in postponed] == pytest.approx([60, 60], abs=2)


async def test_what_is_not_due_yet_uses_up_no_room(egress: Egress, some_jobs, pool):
    early = await some_jobs(3)
    await pool.execute("UPDATE executions SET next_at = clock_timestamp() + interval '1 min'")
    assert await egress.postpone(early) == []

    assert await egress.postpone(await some_jobs(3)) == []


async def test_a_group_that_is_gone_is_met_again(egress: Egress, some_jobs, pool):
    assert await egress.postpone(await some_jobs(3)) == []
    await pool.execute("DELETE FROM egress_groups")  # as where the database was emptied, or is another

    assert len(await egress.postpone(await some_jobs(4))) == 1
    assert await pool.fetchval("SELECT window_used FROM egress_groups") == 3


async def test_a_group_that_is_known_is_not_met_again(egress: Egress, some_jobs, pool):
    await egress.postpone(await some_jobs(1))
    await pool.execute(NO_INSERT)

    assert len(await egress.postpone(await some_jobs(3))) == 1


async def test_nothing_is_asked_where_nothing_goes_to_discord(egress: Egress, pool):
    assert await egress.postpone([]) == []

    assert await pool.fetchval("SELECT count(*) FROM egress_groups") == 0
