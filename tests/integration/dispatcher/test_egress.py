"""What holds for an address, on a real database."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
import structlog

from tocsin_common.messages import Job
from tocsin_dispatcher.sender.budget import Rules
from tocsin_dispatcher.sender.claim import Asking
from tocsin_dispatcher.sender.egress import Egress
from tocsin_dispatcher.sender.limits import Told
from tocsin_dispatcher.sender.outcome import DEFAULT_WAITS_S, Verdict
from tocsin_dispatcher.sender.post import Attempt
from tocsin_dispatcher.sender.turns import MARGIN

from .conftest import DAY, counted

RULES = Rules(per_s=4, invalid_most=10)
"""Two in half a second."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)
NO_INSERT = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'it is there already'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON egress_groups EXECUTE FUNCTION refuse();
"""


@pytest.fixture
def egress(pool: asyncpg.Pool) -> Egress:
    return Egress(pool, group="one", rules=RULES)


def asking(count: int, *, first: int = 0, have_waited: bool = False) -> list[Asking]:
    return [
        Asking(Job(UUID(int=n), DAY + timedelta(seconds=n), "discord.com/1"), have_waited, LONG_AGO)
        for n in range(first, first + count)
    ]


def answered(told: Told, *, started_at: datetime = DAY, is_guess: bool = False) -> Attempt:
    verdict = Verdict("limited", "HTTP 429", 429, wait_s=told.blocked_s, is_guess=is_guess)
    return Attempt(started_at, 0.1, verdict, told)


INVALID = answered(Told(is_invalid=True))


async def test_what_finds_no_room_waits_for_its_turn(egress: Egress):
    asked = asking(4)

    waits = await egress.admit(asked)

    assert list(waits) == [each.job for each in asked[2:]]
    assert [wait.seconds for wait in waits.values()] == pytest.approx([0.5 * MARGIN, 0.75 * MARGIN], abs=0.2)
    assert all(wait.is_turn for wait in waits.values())


async def test_who_waited_goes_before_those_that_come_new(egress: Egress):
    [waited], new = asking(1, first=50, have_waited=True), asking(2)

    waits = await egress.admit([*new, waited])

    assert list(waits) == [new[1].job]


async def test_senders_of_a_group_share_its_room_and_other_groups_have_their_own(egress: Egress, pool):
    other, elsewhere = (Egress(pool, group=group, rules=RULES) for group in ("one", "two"))
    senders = [egress, other, egress, other]

    waits = await asyncio.gather(*(each.admit(asking(2, first=10 * n)) for n, each in enumerate(senders)))

    assert sum(map(len, waits)) == 6
    assert await elsewhere.admit(asking(2)) == {}


async def test_half_of_the_budget_of_invalid_answers_slows_and_says_so(egress: Egress):
    before = counted("answers_invalid")
    with structlog.testing.capture_logs() as logs:
        for n in range(RULES.invalid_most // 2):
            await egress.admit(asking(1, first=n))
            await egress.learn(INVALID)
        assert logs == []

        await egress.admit(asking(1, first=100))

    assert counted("answers_invalid") == before + 5
    assert [(line["event"], line["egress_group"]) for line in logs] == [("egress.slowed", "one")]
    assert logs[0]["posts_a_second"] == pytest.approx(0.01)


async def test_invalid_answers_count_for_ten_minutes(egress: Egress, pool):
    for _ in range(RULES.invalid_most):
        await egress.learn(INVALID)
    await pool.execute("UPDATE egress_invalid SET minute = minute - interval '9 min'")
    assert len(await egress.admit(asking(2))) == 1
    await pool.execute("UPDATE egress_invalid SET minute = minute - interval '3 min'")
    await pool.execute("DELETE FROM egress_groups")

    assert await egress.admit(asking(2)) == {}


async def test_invalid_answers_of_long_ago_are_removed(egress: Egress, pool):
    await egress.learn(INVALID)
    await pool.execute("UPDATE egress_invalid SET minute = minute - interval '2 h'")

    await egress.learn(INVALID)

    assert await pool.fetchval("SELECT count(*) FROM egress_invalid") == 1


async def test_a_block_of_the_address_lets_nothing_begin(egress: Egress, pool):
    await Egress(pool, group="one", rules=RULES).learn(answered(Told(is_everywhere=True, blocked_s=60)))

    waits = await egress.admit(asking(2))

    assert [wait.seconds for wait in waits.values()] == pytest.approx([60, 60.25], abs=2)


async def test_blocks_without_a_word_about_how_long_grow_by_what_began_after_the_last_one(egress: Egress, pool):
    blocked = Told(is_everywhere=True, blocked_s=5)
    found = []
    for _ in range(2):
        now = await pool.fetchval("SELECT clock_timestamp()")
        for _ in range(3):
            await egress.learn(answered(blocked, started_at=now, is_guess=True))
        [wait] = (await egress.admit(asking(1))).values()
        found.append(wait.seconds)

    assert found == pytest.approx(list(DEFAULT_WAITS_S[:2]), abs=2)
    assert egress.refusals == 2


async def test_any_other_answer_ends_the_row_of_refusals(egress: Egress, pool):
    await egress.learn(answered(Told(is_everywhere=True, blocked_s=5), is_guess=True))
    await egress.admit(asking(1))

    await egress.learn(Attempt(DAY, 0.1, Verdict("succeeded", "HTTP 200", 200), Told()))

    assert await pool.fetchval("SELECT guesses FROM egress_groups") == 0


async def test_a_group_that_is_gone_is_met_again(egress: Egress, pool):
    assert await egress.admit(asking(2)) == {}
    await pool.execute("DELETE FROM egress_groups")  # as where the database was emptied, or is another

    assert len(await egress.admit(asking(3))) == 1
    assert await pool.fetchval("SELECT window_used FROM egress_groups") == 2


async def test_a_group_that_is_known_is_not_met_again(egress: Egress, pool):
    await egress.admit(asking(1))
    await pool.execute(NO_INSERT)

    assert len(await egress.admit(asking(2))) == 1


async def test_nothing_is_asked_where_nothing_goes_to_discord(egress: Egress, pool):
    assert await egress.admit([]) == {}

    assert await pool.fetchval("SELECT count(*) FROM egress_groups") == 0
