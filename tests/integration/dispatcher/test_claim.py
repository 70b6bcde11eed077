"""The claim on a real database: one sender at a time, never early, and what stops an execution."""

import asyncio
import random
from datetime import timedelta
from operator import itemgetter
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin_common import database
from tocsin_common.messages import Job, execution_id, iso_utc
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.sender.claim import Claims
from tocsin_dispatcher.sender.turns import Wait

from .conftest import DAY, counted

LATER = DAY + timedelta(seconds=1)


@pytest.fixture
def claims(pool: asyncpg.Pool) -> Claims:
    return Claims(pool, DatabaseClock(), sender="sender-1", ttl_s=30)


@pytest.mark.parametrize(
    ("row", "is_granted"),
    [
        ({"state": "due"}, True),
        ({"state": "waiting"}, True),
        ({"state": "running", "next_in_s": -1, "seq": 1}, True),  # its claim has expired
        ({"state": "running", "next_in_s": 20, "seq": 1}, False),
        ({"state": "due", "next_in_s": 5}, False),
        ({"state": "waiting", "next_in_s": 5}, False),
        ({"state": "succeeded"}, False),
        ({"state": "failed"}, False),
        ({"state": "cancelled"}, False),
    ],
)
async def test_a_claim_is_granted_to_what_is_due_and_not_taken(claims, add_task, add_execution, row, is_granted):
    job = await add_execution(await add_task(), **row)

    claimed = await claims.claim([job])

    assert [grant.job for grant in claimed.grants] == ([job] if is_granted else [])


async def test_a_grant_brings_what_the_post_needs(claims, add_task, add_execution, pool: asyncpg.Pool):
    job = await add_execution(await add_task(max_retry=7), failures=2, seq=4)

    [grant] = (await claims.claim([job])).grants

    assert (grant.seq, grant.failures, grant.max_retry) == (5, 2, 7)
    assert grant.payload == '{"content": "hello"}'
    row = await pool.fetchrow(
        "SELECT state, seq, claimed_by, next_at > clock_timestamp() AS lives FROM executions"
    )
    assert tuple(row) == ("running", 5, "sender-1", True)


async def test_lateness_begins_after_the_jitter(claims, add_task, add_execution, pool: asyncpg.Pool):
    job = await add_execution(await add_task())
    await pool.execute("UPDATE executions SET jitter_ms = 1500")

    [grant] = (await claims.claim([job])).grants

    assert grant.lateness_ms(DAY + timedelta(milliseconds=1520.25)) == 20.25


async def test_an_expired_claim_that_is_granted_again_counts_as_lost(claims, add_task, add_execution, pool):
    job = await add_execution(await add_task(), state="running", next_in_s=-1, seq=1)

    await claims.claim([job])

    assert await pool.fetchval("SELECT lost_claims FROM executions") == 1


async def test_what_is_not_due_yet_comes_with_its_wait(claims, add_task, add_execution):
    job = await add_execution(await add_task(), state="waiting", next_in_s=5)

    [(early, wait_s)] = (await claims.claim([job])).not_due

    assert early == job
    assert wait_s == pytest.approx(5, abs=1)


@pytest.mark.parametrize(
    ("status", "kind", "state", "reason"),
    [
        ("ACTIVE", "schedule", "running", None),
        ("INACTIVE", "schedule", "cancelled", "the task is INACTIVE"),
        ("FAILED", "schedule", "cancelled", "the task is FAILED"),
        ("INACTIVE", "reboot", "cancelled", "the task is INACTIVE"),
        ("INACTIVE", "manual", "running", None),
        ("FAILED", "once", "running", None),
        ("DELETED", "schedule", "cancelled", "the task was deleted"),
        ("DELETED", "manual", "cancelled", "the task was deleted"),
    ],
)
async def test_a_stopped_task_stops_what_its_schedule_owes(
    claims, add_task, add_execution, pool, status, kind, state, reason
):
    job = await add_execution(await add_task(status=status), kind=kind)

    claimed = await claims.claim([job])

    assert len(claimed.grants) == (state == "running")
    assert tuple(await pool.fetchrow("SELECT state, reason FROM executions")) == (state, reason)


async def test_an_execution_whose_task_is_gone_is_cancelled(claims, add_execution, pool):
    job = await add_execution(uuid4())

    claimed = await claims.claim([job])

    assert claimed.grants == []
    assert await pool.fetchval("SELECT state FROM executions") == "cancelled"


async def test_a_job_without_a_row_is_dropped(claims, partitions):
    claimed = await claims.claim([Job(uuid4(), DAY, "discord.com/1")])

    assert claimed == ([], [], [])


async def test_a_claim_that_is_given_back_costs_nothing(claims, add_task, add_execution, pool):
    job = await add_execution(await add_task())
    grants = (await claims.claim([job])).grants

    await claims.give_back(grants, 0.0)

    assert tuple(await pool.fetchrow("SELECT state, failures, lost_claims FROM executions")) == ("waiting", 0, 0)
    assert len((await claims.claim([job])).grants) == 1


async def test_a_claim_that_is_given_back_may_have_to_wait(claims, add_task, add_execution):
    job = await add_execution(await add_task())
    grants = (await claims.claim([job])).grants

    await claims.give_back(grants, 50.0)

    claimed = await claims.claim([job])
    assert (claimed.grants, claimed.not_due) == ([], [(job, pytest.approx(50, abs=5))])


async def test_a_claim_that_another_has_taken_over_is_not_given_back(claims, add_task, add_execution, pool):
    job = await add_execution(await add_task())
    grants = (await claims.claim([job])).grants
    await pool.execute("UPDATE executions SET seq = seq + 1, claimed_by = 'sender-2'")

    await claims.give_back(grants, 0.0)

    assert await pool.fetchval("SELECT state FROM executions") == "running"


async def test_many_senders_that_claim_the_same_jobs_get_each_once(database_url, add_task, add_execution):
    task_id = await add_task()
    jobs = [await add_execution(task_id, DAY + timedelta(seconds=n)) for n in range(100)]

    async def claim_all(name: str) -> list[Job]:
        async with await database.open_pool(database_url, size=4, name=name, timeout_s=10) as pool:
            claims = Claims(pool, DatabaseClock(), sender=name, ttl_s=30)
            shuffled = random.Random(name).sample(jobs, len(jobs))  # noqa: S311 - an order, not a secret
            packs = [shuffled[n : n + 25] for n in range(0, 100, 25)]
            claimed = await asyncio.gather(*(claims.claim(pack) for pack in packs))
            return [grant.job for part in claimed for grant in part.grants]

    granted = await asyncio.gather(*(claim_all(f"sender-{n}") for n in range(4)))

    assert sorted(job.scheduled_for for part in granted for job in part) == [job.scheduled_for for job in jobs]


@pytest.mark.parametrize(
    ("late_s", "jitter_ms", "row", "state"),
    [
        (61, 0, {}, "expired"),
        (59, 0, {}, "running"),
        (61, 5000, {}, "running"),  # that is not late: the jitter belongs to it
        (66, 5000, {}, "expired"),
        (61, 0, {"kind": "reboot"}, "expired"),
        (61, 0, {"kind": "once"}, "expired"),
        (61, 0, {"kind": "manual"}, "running"),
        (61, 0, {"state": "waiting", "seq": 2, "failures": 2}, "expired"),  # a retry
        (61, 0, {"state": "running", "seq": 1}, "expired"),  # its claim was lost
    ],
)
async def test_what_would_start_later_than_its_task_allows_expires(
    claims, add_task, add_execution, pool, partitions, late_s, jitter_ms, row, state
):
    at = await pool.fetchval("SELECT clock_timestamp() - make_interval(secs => $1)", late_s)
    await partitions.cover([at.date()])
    job = await add_execution(await add_task(expires_after_s=60), at, jitter_ms=jitter_ms, next_in_s=-1, **row)

    claimed = await claims.claim([job])

    assert len(claimed.grants) == (state == "running")
    assert await pool.fetchval("SELECT state FROM executions") == state


async def test_a_task_without_a_limit_starts_however_late(claims, add_task, add_execution):
    job = await add_execution(await add_task(), DAY)

    assert len((await claims.claim([job])).grants) == 1


async def test_what_expires_or_is_skipped_has_ended_and_is_logged(claims, add_task, add_execution, pool):
    expiring, skipping = await add_task(expires_after_s=60), await add_task(overlap="skip")
    await add_execution(skipping, DAY, state="running", seq=1, next_in_s=20)
    jobs = [await add_execution(expiring, LATER, seq=1), await add_execution(skipping, LATER)]
    before = [counted("executions_ended", state=state) for state in ("expired", "skipped")]

    with structlog.testing.capture_logs() as logs:
        claimed = await claims.claim(jobs)

    assert claimed == ([], [], [])
    rows = await pool.fetch(
        """
        SELECT task_id, state, reason, seq, claimed_by, finished_at IS NOT NULL AS ended FROM executions
        WHERE scheduled_for = $1 ORDER BY state
        """,
        LATER,
    )
    assert [tuple(row) for row in rows] == [
        (expiring, "expired", "more than 60 s late", 1, None, True),
        (skipping, "skipped", "an earlier execution was under way", 0, None, True),
    ]
    at = iso_utc(LATER)
    assert sorted(logs, key=itemgetter("event")) == [
        {
            "event": f"execution.{state}",
            "log_level": "info",
            "execution_id": str(execution_id(task_id, LATER)),
            "task_id": str(task_id),
            "scheduled_for": at,
        }
        for state, task_id in (("expired", expiring), ("skipped", skipping))
    ]
    after = [counted("executions_ended", state=state) for state in ("expired", "skipped")]
    assert after == [count + 1 for count in before]


@pytest.mark.parametrize(
    ("earlier", "row", "state"),
    [
        ({"state": "running", "seq": 1, "next_in_s": 20}, {}, "skipped"),
        ({"state": "running", "seq": 1, "next_in_s": -1}, {}, "skipped"),  # its claim was lost: it comes again
        ({"state": "waiting", "seq": 1, "next_in_s": 20}, {}, "skipped"),
        ({"state": "waiting", "seq": 0, "next_in_s": 20}, {}, "skipped"),  # it waits for room at its destination
        ({"state": "waiting", "kind": "manual", "next_in_s": 20}, {}, "skipped"),
        ({"state": "due"}, {}, "running"),
        ({"state": "succeeded", "seq": 1}, {}, "running"),
        ({"state": "failed", "seq": 1}, {}, "running"),
        ({"state": "skipped"}, {}, "running"),
        ({"state": "running", "seq": 1, "next_in_s": 20}, {"kind": "reboot"}, "skipped"),
        ({"state": "running", "seq": 1, "next_in_s": 20}, {"kind": "manual"}, "running"),
        ({"state": "running", "seq": 1, "next_in_s": 20}, {"kind": "once"}, "running"),
        ({"state": "running", "seq": 1, "next_in_s": 20}, {"state": "waiting", "seq": 1}, "running"),  # a retry
        (
            {"state": "running", "seq": 1, "next_in_s": 20},
            {"state": "waiting", "seq": 0},
            "skipped",
        ),  # it was parked
    ],
)
async def test_an_execution_is_skipped_while_an_earlier_one_is_under_way(
    claims, add_task, add_execution, pool, earlier, row, state
):
    task_id = await add_task(overlap="skip")
    await add_execution(task_id, DAY, **earlier)
    job = await add_execution(task_id, LATER, **row)

    claimed = await claims.claim([job])

    assert len(claimed.grants) == (state == "running")
    assert await pool.fetchval("SELECT state FROM executions WHERE scheduled_for = $1", LATER) == state


async def test_an_earlier_day_is_earlier_too(claims, add_task, add_execution, pool, partitions):
    await partitions.cover([(DAY - timedelta(days=2)).date()])
    task_id = await add_task(overlap="skip")
    await add_execution(task_id, DAY - timedelta(days=2), state="waiting", seq=1, next_in_s=20)

    await claims.claim([await add_execution(task_id, DAY)])

    assert await pool.fetchval("SELECT state FROM executions WHERE scheduled_for = $1", DAY) == "skipped"


@pytest.mark.parametrize("under_way", [{"task": "another"}, {"at": "later"}, {"overlap": "allow"}])
async def test_an_execution_is_not_skipped_for_what_does_not_stand_in_its_way(
    claims, add_task, add_execution, under_way
):
    task_id = await add_task(overlap=under_way.get("overlap", "skip"))
    other = await add_task(overlap="skip") if "task" in under_way else task_id
    at = LATER + timedelta(seconds=1) if "at" in under_way else DAY
    await add_execution(other, at, state="running", seq=1, next_in_s=20)

    claimed = await claims.claim([await add_execution(task_id, LATER)])

    assert len(claimed.grants) == 1


async def states_by_instant(pool: asyncpg.Pool, task_id: UUID) -> list[str]:
    rows = await pool.fetch("SELECT state FROM executions WHERE task_id = $1 ORDER BY scheduled_for", task_id)
    return [row["state"] for row in rows]


@pytest.mark.parametrize(
    ("rows", "states"),
    [
        ([{}, {}, {}], ["running", "skipped", "skipped"]),
        ([{}, {"kind": "manual"}, {}], ["running", "running", "skipped"]),
        ([{"kind": "manual"}, {}, {}], ["running", "skipped", "skipped"]),
        ([{"state": "running", "seq": 1}, {}, {}], ["running", "skipped", "skipped"]),  # the first claim was lost
        ([{}, {"state": "waiting", "seq": 1}, {}], ["running", "running", "skipped"]),
        ([{"state": "succeeded"}, {}, {}], ["succeeded", "running", "skipped"]),
    ],
)
async def test_of_one_claim_the_earliest_execution_of_a_task_is_granted(
    claims, add_task, add_execution, pool, rows, states
):
    task_id = await add_task(overlap="skip")
    jobs = [await add_execution(task_id, DAY + timedelta(seconds=n), **row) for n, row in enumerate(rows)]

    await claims.claim(jobs[::-1])

    assert await states_by_instant(pool, task_id) == states


async def test_what_expires_in_a_claim_stands_in_nobodys_way(claims, add_task, add_execution, pool, partitions):
    now = await pool.fetchval("SELECT clock_timestamp()")
    instants = [now - timedelta(seconds=late_s) for late_s in (90, 30, 20)]
    await partitions.cover({at.date() for at in instants})
    task_id = await add_task(overlap="skip", expires_after_s=60)
    jobs = [
        await add_execution(task_id, at, next_in_s=-1, state=state, seq=seq)
        for at, state, seq in zip(instants, ("waiting", "due", "due"), (1, 0, 0), strict=True)
    ]

    await claims.claim(jobs)

    assert await states_by_instant(pool, task_id) == ["expired", "running", "skipped"]


async def test_each_task_of_a_claim_is_judged_by_itself(claims, add_task, add_execution, pool):
    busy, idle, careless = [await add_task(overlap=overlap) for overlap in ("skip", "skip", "allow")]
    await add_execution(busy, DAY, state="waiting", seq=1, next_in_s=20)
    jobs = [
        await add_execution(task_id, LATER + timedelta(seconds=n))
        for task_id in (busy, idle, careless)
        for n in range(2)
    ]

    await claims.claim(jobs)

    assert await states_by_instant(pool, busy) == ["waiting", "skipped", "skipped"]
    assert await states_by_instant(pool, idle) == ["running", "skipped"]
    assert await states_by_instant(pool, careless) == ["running", "running"]


ROWS = st.fixed_dictionaries(
    {
        "state": st.sampled_from(["due", "waiting", "running", "succeeded", "skipped"]),
        "kind": st.sampled_from(["schedule", "reboot", "manual", "once"]),
        "seq": st.integers(0, 1),
        "next_in_s": st.sampled_from([-5.0, 60.0]),
    }
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_a_claim_decides_as_the_rules_say(claims, add_task, add_execution, pool, data):
    overlap = data.draw(st.sampled_from(["allow", "skip"]))
    rows = data.draw(st.lists(ROWS, min_size=1, max_size=6))
    asked = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    task_id = await add_task(overlap=overlap)
    jobs = [await add_execution(task_id, DAY + timedelta(seconds=n), **row) for n, row in enumerate(rows)]

    await claims.claim([job for job, is_asked in zip(jobs, asked, strict=True) if is_asked])

    assert await states_by_instant(pool, task_id) == expected_states(rows, asked, overlap)


def expected_states(rows: list[dict[str, Any]], asked: list[bool], overlap: str) -> list[str]:
    """The rules again, one execution after the other: whatever is not decided in this claim stays as it is."""
    states = [row["state"] for row in rows]
    for n, (row, is_asked) in enumerate(zip(rows, asked, strict=True)):
        if not is_asked or row["state"] not in ("due", "waiting", "running") or row["next_in_s"] > 0:
            continue
        is_first = row["seq"] == 0 and row["kind"] in ("schedule", "reboot")
        is_blocked = any(state in ("waiting", "running") for state in states[:n])
        states[n] = "skipped" if overlap == "skip" and is_first and is_blocked else "running"
    return states


async def test_a_lost_claim_is_counted_when_it_is_granted_again(claims, add_task, add_execution):
    before = counted("claims_lost")
    job = await add_execution(await add_task(), state="running", next_in_s=-1, seq=1)
    other = await add_execution(await add_task())

    await claims.claim([job, other])

    assert counted("claims_lost") == before + 1


async def test_many_senders_that_claim_one_tasks_executions_grant_no_two_that_overlap_and_wait(
    database_url, add_task, add_execution, pool
):
    task_id = await add_task(overlap="skip")
    await add_execution(task_id, DAY, state="waiting", seq=1, next_in_s=60)
    jobs = [await add_execution(task_id, LATER + timedelta(seconds=n)) for n in range(40)]

    async def claim_all(name: str) -> int:
        async with await database.open_pool(database_url, size=4, name=name, timeout_s=10) as own:
            claims = Claims(own, DatabaseClock(), sender=name, ttl_s=30)
            packs = [jobs[n : n + 10] for n in range(0, 40, 10)]
            return sum(len(part.grants) for part in await asyncio.gather(*map(claims.claim, packs)))

    granted = await asyncio.gather(*(claim_all(f"sender-{n}") for n in range(3)))

    assert granted == [0, 0, 0]
    assert await states_by_instant(pool, task_id) == ["waiting"] + ["skipped"] * 40


# --- Another webhook ----------------------------------------------------------------------------------------


async def test_where_the_task_has_another_webhook_by_now_the_job_comes_again_with_its_destination(
    claims, add_task, add_execution, pool
):
    job = await add_execution(await add_task(destination="discord.com/2"), destination="discord.com/1")
    other = await add_execution(await add_task(destination="discord.com/1"), destination="discord.com/1")

    claimed = await claims.claim([job, other])

    moved = Job(job.task_id, job.scheduled_for, "discord.com/2")
    assert ([grant.job for grant in claimed.grants], claimed.moved, claimed.not_due) == ([other], [moved], [])
    again = await claims.claim(claimed.moved)
    assert [(grant.job, grant.seq) for grant in again.grants] == [(moved, 1)]


async def test_an_expired_claim_of_a_task_with_another_webhook_counts_as_lost_once(
    claims, add_task, add_execution, pool
):
    task_id = await add_task(destination="discord.com/2")
    job = await add_execution(task_id, destination="discord.com/1", state="running", next_in_s=-1, seq=1)

    await claims.claim((await claims.claim([job])).moved)

    assert tuple(await pool.fetchrow("SELECT state, seq, lost_claims FROM executions")) == ("running", 2, 1)


async def test_a_stopped_task_stops_its_executions_whatever_its_webhook_is(claims, add_task, add_execution, pool):
    job = await add_execution(await add_task(destination="discord.com/2", status="INACTIVE"))

    claimed = await claims.claim([job])

    assert (claimed.grants, claimed.moved) == ([], [])
    assert await pool.fetchval("SELECT state FROM executions") == "cancelled"


# --- Waiting ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "is_moved"),
    [
        ({"state": "due"}, True),
        ({"state": "waiting"}, True),
        ({"state": "running", "next_in_s": -1, "seq": 1}, True),
        ({"state": "running", "next_in_s": 20, "seq": 1}, False),
        ({"state": "waiting", "next_in_s": 20}, False),
        ({"state": "succeeded"}, False),
        ({"state": "failed"}, False),
        ({"state": "cancelled"}, False),
    ],
)
async def test_only_what_may_be_claimed_is_ready_and_can_be_postponed(
    claims, add_task, add_execution, row, is_moved: bool
):
    job = await add_execution(await add_task(), **row)

    ready = await claims.ready([job])
    postponed = await claims.postpone({job: Wait(50.0, is_turn=True)})

    assert [each.job for each in ready] == ([job] if is_moved else [])
    assert postponed == ([(job, pytest.approx(50, abs=5))] if is_moved else [])
    assert await claims.ready([job]) == []


async def test_what_is_postponed_was_not_forgotten_so_sweeps_begin_anew(claims, add_task, add_execution, pool):
    job = await add_execution(await add_task())
    await pool.execute("UPDATE executions SET sweeps = 5, has_waited = true")

    await claims.postpone({job: Wait(0.0, is_turn=None)})

    assert tuple(await pool.fetchrow("SELECT sweeps, has_waited FROM executions")) == (0, True)


async def test_who_has_waited_for_its_turn_is_known_until_it_is_claimed(claims, add_task, add_execution, pool):
    first, second = [await add_execution(await add_task()) for _ in range(2)]
    await claims.postpone({first: Wait(0.0, is_turn=True), second: Wait(0.0, is_turn=False)})

    ready = await claims.ready([first, second])
    await claims.give_back((await claims.claim([first])).grants, 0.0)

    assert [each.has_waited for each in ready] == [True, False]
    assert [each.has_waited for each in await claims.ready([first, second])] == [False, False]


async def test_an_expired_claim_that_is_postponed_counts_as_lost_and_its_holder_records_no_failure(
    claims, add_task, add_execution, pool
):
    job = await add_execution(await add_task(), state="running", next_in_s=-1, seq=1)
    before = counted("claims_lost")

    await claims.postpone({job: Wait(0.0, is_turn=True)})

    assert counted("claims_lost") == before + 1
    assert tuple(await pool.fetchrow("SELECT state, lost_claims, claimed_by FROM executions")) == (
        "waiting",
        1,
        None,
    )


async def test_nobody_waits_longer_than_until_an_execution_is_given_up(claims, add_task, add_execution):
    job = await add_execution(await add_task(), give_up_in_s=100)

    assert await claims.postpone({job: Wait(50_000, is_turn=False)}) == [(job, pytest.approx(100, abs=5))]
