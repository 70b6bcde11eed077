"""What senders share about limited, blocked and broken destinations, on a real database."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from tocsin_common.messages import Job
from tocsin_dispatcher.sender.claim import Asking
from tocsin_dispatcher.sender.destinations import MOST_REMEMBERED, Destinations
from tocsin_dispatcher.sender.limits import NO_LIMIT, Told, Window
from tocsin_dispatcher.sender.outcome import DEFAULT_WAITS_S, Verdict
from tocsin_dispatcher.sender.post import Attempt
from tocsin_dispatcher.sender.room import PROBE_LOOK_S, Breaker
from tocsin_dispatcher.sender.turns import MARGIN

from .conftest import DAY

HERE, THERE = "discord.com/1", "discord.com/2"
ELSEWHERE = "https://hooks.example.org"
"""Not Discord's: nothing is guessed of its limit."""
WINDOW = Window(5, 60.0)
STEP_S = WINDOW.length_s * MARGIN / 5
FIRST_S = WINDOW.length_s * MARGIN
LEFT_S = "SELECT EXTRACT(EPOCH FROM GREATEST({}, clock_timestamp()) - clock_timestamp())::float8 FROM destinations"
SAYS_NOTHING = Told()
BREAKER = Breaker(failures=3, first_s=10, most_s=35, probe_s=12)
SOME_TASK = UUID(int=1)


class Sender:
    """What it knows of destinations, and jobs that come to it."""

    _number = 0

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.destinations = Destinations(pool, breaker=BREAKER)
        self._pool = pool

    def jobs(self, count: int, destination: str = HERE) -> list[Job]:
        Sender._number += count
        first = DAY + timedelta(seconds=Sender._number - count)
        return [Job(SOME_TASK, first + timedelta(seconds=n), destination) for n in range(count)]

    async def ask(self, jobs: list[Job], *, have_waited: bool = False) -> list[float]:
        """The seconds that each of `jobs` has to wait; 0 for those that begin at once."""
        asking = await self.destinations.that_must_ask(jobs)
        now = await self._pool.fetchval("SELECT clock_timestamp()")
        waits = await self.destinations.admit([Asking(job, have_waited, now) for job in jobs if job in asking])
        return [waits[job].seconds if job in waits else 0.0 for job in jobs]

    async def learn(self, attempt: Attempt, destination: str = HERE, job: Job | None = None) -> None:
        await self.destinations.learn(job or self.jobs(1, destination)[0], attempt)


@pytest.fixture
def sender(pool: asyncpg.Pool) -> Sender:
    return Sender(pool)


@pytest.fixture
def other_sender(pool: asyncpg.Pool) -> Sender:
    return Sender(pool)


@pytest.fixture
async def now(pool: asyncpg.Pool) -> datetime:
    moment: datetime = await pool.fetchval("SELECT clock_timestamp()")
    return moment


def answered(told: Told = SAYS_NOTHING) -> Attempt:
    return Attempt(DAY, 0.1, Verdict("succeeded", "HTTP 200", 200), told)


def broken(started_at: datetime) -> Attempt:
    return Attempt(started_at, 10.0, Verdict("retryable", "no answer within 10 s"), None)


def refused(started_at: datetime) -> Attempt:
    """With 429, and without a word about how long."""
    verdict = Verdict("limited", "HTTP 429", 429, wait_s=5.0, is_guess=True)
    return Attempt(started_at, 0.1, verdict, Told(blocked_s=5.0))


def nearly(*seconds: float):
    return pytest.approx(list(seconds), abs=2)


async def left_s(pool: asyncpg.Pool, column: str) -> float:
    seconds: float = await pool.fetchval(LEFT_S.format(column))
    return seconds


# --- A limit that is known ------------------------------------------------------------------------------------


async def test_a_limit_that_a_receiver_told_is_kept(sender):
    await sender.learn(answered(Told(window=WINDOW)))

    assert await sender.ask(sender.jobs(7)) == nearly(*[0] * 5, FIRST_S, FIRST_S + STEP_S)


async def test_all_senders_share_the_room(sender, other_sender):
    await sender.learn(answered(Told(window=WINDOW)))

    first, second = await sender.ask(sender.jobs(3)), await other_sender.ask(sender.jobs(4))

    assert first == [0, 0, 0]
    assert second == nearly(0, 0, FIRST_S, FIRST_S + STEP_S)


async def test_senders_that_ask_at_the_same_time_let_no_more_begin_than_the_limit(sender, pool):
    await sender.learn(answered(Told(window=WINDOW)))
    senders = [Sender(pool) for _ in range(6)]

    asked = await asyncio.gather(*(each.ask(each.jobs(3)) for each in senders))

    waits = sorted(seconds for part in asked for seconds in part)
    assert waits == nearly(*[0] * 5, *(FIRST_S + n * STEP_S for n in range(13)))


async def test_who_has_waited_goes_before_those_that_come_new(sender):
    await sender.learn(answered(Told(window=WINDOW)))
    await sender.ask(sender.jobs(4))
    new, waited = sender.jobs(1), sender.jobs(1)

    assert await sender.ask(waited, have_waited=True) == [0]
    assert await sender.ask(new) == nearly(FIRST_S)


async def test_a_window_that_is_over_begins_anew(sender, pool):
    await sender.learn(answered(Told(window=WINDOW)))
    await sender.ask(sender.jobs(5))
    await pool.execute("UPDATE destinations SET window_from = window_from - interval '2 min'")

    assert await sender.ask(sender.jobs(6)) == nearly(*[0] * 5, FIRST_S)


async def test_a_window_that_the_receiver_calls_used_up_is_closed(sender):
    await sender.learn(answered(Told(window=WINDOW)))
    await sender.ask(sender.jobs(2))

    await sender.learn(answered(Told(is_used_up=True, resets_after_s=40)))

    assert await sender.ask(sender.jobs(2)) == nearly(40 + FIRST_S - 60, 40 + FIRST_S - 60 + STEP_S)


async def test_a_window_that_is_used_up_as_was_reckoned_changes_nothing(sender, pool):
    await sender.learn(answered(Told(window=WINDOW)))
    await sender.ask(sender.jobs(5))
    before = await pool.fetchrow("SELECT * FROM destinations")

    await sender.learn(answered(Told(is_used_up=True, resets_after_s=59.9)))

    assert await pool.fetchrow("SELECT * FROM destinations") == before


async def test_a_lone_post_is_not_counted(sender, pool):
    await sender.learn(answered(Told(window=WINDOW)))

    assert await sender.ask(sender.jobs(1)) == [0]

    assert await pool.fetchval("SELECT window_used FROM destinations") == 0


async def test_one_that_follows_a_lone_post_is_counted_and_the_lone_one_with_it(sender, pool):
    await sender.learn(answered(Told(window=WINDOW)))
    sender.destinations.enter(HERE)

    assert await sender.ask(sender.jobs(1)) == [0]

    assert await pool.fetchval("SELECT window_used FROM destinations") == 2


async def test_what_was_learned_is_written_once(sender, pool):
    await sender.learn(answered(Told(bucket="one", window=WINDOW)))
    before = await pool.fetchval("SELECT updated_at FROM destinations")

    await sender.learn(answered(Told(bucket="one", window=Window(5, 59.9))))
    await sender.learn(answered(Told(bucket="one")))
    await sender.learn(answered(Told(window=NO_LIMIT)))

    assert await pool.fetchval("SELECT updated_at FROM destinations") == before


async def test_a_limit_that_changed_is_believed_and_the_old_queue_forgotten(sender):
    await sender.learn(answered(Told(window=Window(1, 3600))))
    assert await sender.ask(sender.jobs(3)) == pytest.approx([0, 3600 * MARGIN, 7200 * MARGIN], abs=5)

    await sender.learn(answered(Told(window=Window(5, 2))))

    assert await sender.ask(sender.jobs(4)) == [0, 0, 0, 0]


async def test_figures_of_another_bucket_are_forgotten(sender, pool):
    await sender.learn(answered(Told(bucket="one", window=WINDOW)))

    await sender.learn(answered(Told(bucket="two")))

    assert tuple(await pool.fetchrow("SELECT bucket, window_limit FROM destinations")) == ("two", None)


async def test_those_that_never_come_again_hold_up_nobody_for_long(sender, pool):
    await sender.learn(answered(Told(window=WINDOW)))
    await sender.ask(sender.jobs(100))
    await pool.execute("UPDATE destinations SET window_from = window_from - interval '75 s'")

    assert await sender.ask(sender.jobs(5)) == [0] * 5


async def test_a_lone_post_counts_as_soon_as_others_follow_it(sender):
    await sender.learn(answered(Told(window=WINDOW)))
    sender.destinations.enter(HERE)

    assert await sender.ask(sender.jobs(6)) == nearly(0, 0, 0, 0, FIRST_S, FIRST_S + STEP_S)


async def test_a_window_that_ends_a_little_later_at_the_receiver_is_closed_until_then(sender):
    await sender.learn(answered(Told(window=WINDOW)))
    await sender.ask(sender.jobs(5))

    await sender.learn(answered(Told(is_used_up=True, resets_after_s=61.0)))

    [wait_s] = await sender.ask(sender.jobs(1))
    assert wait_s == pytest.approx(FIRST_S + 1.0, abs=0.5)


async def test_a_window_that_is_used_up_is_closed_where_nothing_was_known(sender):
    await sender.learn(answered(Told(is_used_up=True, resets_after_s=1.5)))

    assert await sender.ask(sender.jobs(1)) == [pytest.approx(1.56, abs=0.3)]


async def test_what_another_sender_learned_of_the_same_bucket_stays(sender, other_sender, pool):
    await sender.learn(answered(Told(bucket="one", window=WINDOW)))

    await other_sender.learn(answered(Told(bucket="one")))

    assert await pool.fetchval("SELECT window_limit FROM destinations") == WINDOW.requests


async def test_room_that_was_not_used_is_others_again(sender, other_sender):
    await sender.learn(answered(Told(window=WINDOW)))
    jobs = sender.jobs(5)
    assert await sender.ask(jobs) == [0] * 5

    await sender.destinations.release(jobs[3:])

    assert await other_sender.ask(sender.jobs(3)) == nearly(0, 0, FIRST_S)


async def test_room_that_was_used_or_whose_window_is_over_is_not_returned(sender, pool):
    await sender.learn(answered(Told(window=WINDOW)))
    posted, unposted = sender.jobs(1), sender.jobs(1)
    await sender.ask([*posted, *unposted])
    await sender.learn(answered(), HERE, posted[0])
    await sender.destinations.release(posted)
    assert await pool.fetchval("SELECT window_used FROM destinations") == 2
    await pool.execute("UPDATE destinations SET window_from = clock_timestamp()")

    await sender.destinations.release(unposted)

    assert await pool.fetchval("SELECT window_used FROM destinations") == 2


# --- A limit that is not known ----------------------------------------------------------------------------------


async def test_of_discord_a_limit_is_guessed_and_what_it_leaves_asks_again(sender):
    jobs = sender.jobs(13)

    assert await sender.ask(jobs) == nearly(*[0] * 5, *[2 * MARGIN] * 8)
    await sender.learn(answered(Told(window=WINDOW)))
    assert await sender.ask(jobs[5:7]) == nearly(FIRST_S, FIRST_S + STEP_S)


async def test_a_webhook_that_names_no_limit_has_none(sender):
    await sender.learn(answered(Told(window=NO_LIMIT)))

    assert await sender.ask(sender.jobs(15)) == [0] * 15


async def test_of_others_nothing_is_guessed_and_nothing_written(sender, pool):
    assert await sender.ask(sender.jobs(15, ELSEWHERE)) == [0] * 15
    await sender.learn(answered(Told(window=NO_LIMIT)), ELSEWHERE)

    assert await pool.fetchval("SELECT count(*) FROM destinations") == 0


async def test_others_that_tell_a_limit_are_believed(sender):
    await sender.learn(answered(Told(window=WINDOW)), ELSEWHERE)

    assert await sender.ask(sender.jobs(6, ELSEWHERE)) == nearly(*[0] * 5, FIRST_S)


# --- Blocks -----------------------------------------------------------------------------------------------------


async def test_a_block_holds_for_all_and_turns_are_taken_from_its_end(sender, other_sender):
    await sender.learn(answered(Told(window=WINDOW, blocked_s=100)))

    assert await other_sender.ask(sender.jobs(2)) == nearly(100, 100 + STEP_S)


async def test_a_lone_job_waits_for_the_end_of_a_block_too(sender):
    await sender.learn(answered(Told(blocked_s=100)), ELSEWHERE)

    assert await sender.ask(sender.jobs(1, ELSEWHERE)) == nearly(100)


async def test_a_block_holds_for_those_that_have_waited_for_their_turn(sender):
    await sender.learn(answered(Told(window=WINDOW, blocked_s=500)))

    assert await sender.ask(sender.jobs(1), have_waited=True) == nearly(500)


async def test_a_block_is_never_shortened(sender):
    await sender.learn(answered(Told(blocked_s=100)))
    await sender.learn(answered(Told(blocked_s=1)))

    assert await sender.ask(sender.jobs(1)) == nearly(100)


async def test_other_destinations_do_not_wait(sender):
    await sender.learn(answered(Told(blocked_s=100)))

    assert await sender.ask([*sender.jobs(1), *sender.jobs(1, THERE)]) == nearly(100, 0)


async def test_refusals_without_a_word_about_how_long_block_for_longer_each_time(sender, pool, now):
    found = []
    for n in range(4):
        await sender.learn(refused(now + timedelta(hours=n)))
        found.append(await left_s(pool, "blocked_until"))
        await pool.execute("UPDATE destinations SET blocked_until = '-infinity'")

    assert found == pytest.approx(list(DEFAULT_WAITS_S[:4]), abs=2)


async def test_those_that_were_in_flight_together_are_refused_once(sender, other_sender, pool, now):
    for each in (sender, other_sender, sender, other_sender, sender):
        await each.learn(refused(now))

    assert await left_s(pool, "blocked_until") == pytest.approx(5, abs=2)
    await other_sender.ask(sender.jobs(1))
    assert other_sender.destinations.refusals(HERE) == 1


async def test_an_answer_that_says_how_long_or_is_none_of_these_ends_the_row_of_refusals(sender, pool, now):
    await sender.learn(refused(now))

    await sender.learn(answered())

    await sender.ask(sender.jobs(1))
    assert sender.destinations.refusals(HERE) == 0
    assert await left_s(pool, "blocked_until") == pytest.approx(5, abs=2)


# --- The breaker ------------------------------------------------------------------------------------------------


async def test_failures_in_a_row_block_and_one_job_is_the_probe_afterwards(sender, other_sender, pool, now):
    jobs = sender.jobs(3, ELSEWHERE)
    for _ in range(BREAKER.failures):
        assert await sender.ask(jobs) == [0, 0, 0]
        await sender.learn(broken(now), ELSEWHERE)
    assert await sender.ask(jobs) == nearly(10, 10, 10)
    await pool.execute("UPDATE destinations SET broken_until = clock_timestamp()")

    assert await sender.ask(jobs) == nearly(0, PROBE_LOOK_S, PROBE_LOOK_S)
    assert await other_sender.ask(sender.jobs(1, ELSEWHERE)) == nearly(12)


async def test_a_probe_that_was_not_posted_leaves_that_to_another(sender, other_sender, pool, now):
    for _ in range(BREAKER.failures):
        await sender.learn(broken(now), ELSEWHERE)
    await pool.execute("UPDATE destinations SET broken_until = clock_timestamp()")
    jobs = sender.jobs(2, ELSEWHERE)
    assert await sender.ask(jobs) == nearly(0, PROBE_LOOK_S)

    await sender.destinations.release(jobs[1:])
    assert await other_sender.ask(jobs[1:]) == nearly(12)
    await sender.destinations.release(jobs[:1])
    assert await other_sender.ask(jobs[1:]) == [0]


async def test_a_probe_that_was_posted_is_not_released(sender, pool, now):
    for _ in range(BREAKER.failures):
        await sender.learn(broken(now), ELSEWHERE)
    await pool.execute("UPDATE destinations SET broken_until = clock_timestamp()")
    [probe] = sender.jobs(1, ELSEWHERE)
    await sender.ask([probe])
    await sender.learn(broken(now + timedelta(hours=1)), ELSEWHERE, probe)

    await sender.destinations.release([probe])

    assert await left_s(pool, "broken_until") == pytest.approx(20, abs=3)


async def test_a_probe_that_got_a_sane_answer_is_not_released_into_a_later_block(sender, pool, now):
    for _ in range(BREAKER.failures):
        await sender.learn(broken(now), ELSEWHERE)
    await pool.execute("UPDATE destinations SET broken_until = clock_timestamp()")
    [probe] = sender.jobs(1, ELSEWHERE)
    await sender.ask([probe])
    await sender.learn(answered(), ELSEWHERE, probe)
    for _ in range(BREAKER.failures):
        await sender.learn(broken(now + timedelta(hours=1)), ELSEWHERE)

    await sender.destinations.release([probe])

    assert await left_s(pool, "broken_until") == pytest.approx(10, abs=3)


async def test_a_block_that_began_after_it_was_looked_up_is_not_decided_away(sender, other_sender, pool, now):
    jobs = sender.jobs(2)
    await sender.learn(answered(Told(window=WINDOW)))
    asking = await sender.destinations.that_must_ask(jobs)
    for _ in range(BREAKER.failures):
        await other_sender.learn(broken(now))

    waits = await sender.destinations.admit([Asking(job, has_waited=False, now=now) for job in asking])

    assert [wait.seconds for wait in waits.values()] == nearly(10, 10 + STEP_S)


async def test_a_block_of_one_of_which_nothing_was_known_is_not_decided_away(sender, other_sender, now):
    jobs = sender.jobs(2)
    asking = await sender.destinations.that_must_ask(jobs)
    await other_sender.learn(answered(Told(blocked_s=100)))

    waits = await sender.destinations.admit([Asking(job, has_waited=False, now=now) for job in asking])

    assert [wait.seconds for wait in waits.values()] == nearly(100, 100)


async def test_where_one_failure_opens_the_breaker_the_first_one_does(pool, now):
    destinations = Destinations(pool, breaker=BREAKER._replace(failures=1))

    await destinations.learn(Job(SOME_TASK, DAY, ELSEWHERE), broken(now))

    assert await left_s(pool, "broken_until") == pytest.approx(10, abs=3)


async def test_each_failed_probe_doubles_the_block_up_to_the_most(sender, pool, now):
    found = []
    for n in range(BREAKER.failures + 3):
        await sender.learn(broken(now + timedelta(hours=n)), ELSEWHERE)
        found.append(await left_s(pool, "broken_until"))

    assert found == pytest.approx([0, 0, 10, 20, 35, 35], abs=3)


async def test_those_that_fail_together_are_one_failure_once_the_block_began(sender, pool, now):
    for _ in range(10):
        await sender.learn(broken(now), ELSEWHERE)

    assert await pool.fetchval("SELECT failures FROM destinations") == BREAKER.failures


async def test_a_sane_answer_ends_the_block_and_forgets_the_failures(sender, other_sender, now):
    for _ in range(BREAKER.failures):
        await sender.learn(broken(now), ELSEWHERE)
    assert await other_sender.ask(sender.jobs(1, ELSEWHERE)) == nearly(10)

    await other_sender.learn(answered(), ELSEWHERE)

    assert await sender.ask(sender.jobs(1, ELSEWHERE)) == [0]


async def test_a_sane_answer_does_not_end_the_block_that_was_told(sender, now):
    for _ in range(BREAKER.failures):
        await sender.learn(broken(now), ELSEWHERE)

    await sender.learn(answered(Told(blocked_s=100)), ELSEWHERE)
    await sender.learn(answered(), ELSEWHERE)

    assert await sender.ask(sender.jobs(1, ELSEWHERE)) == nearly(100)


@pytest.mark.parametrize(
    ("outcome", "status", "counts"),
    [
        ("retryable", None, True),
        ("retryable", 503, True),
        ("retryable", 408, False),
        ("permanent", 400, False),
        ("limited", 429, False),
        ("succeeded", 200, False),
    ],
)
async def test_only_a_receiver_that_does_not_answer_sanely_fails(sender, pool, outcome, status, counts: bool):
    attempt = Attempt(DAY, 0.1, Verdict(outcome, "as it was", status), None if status is None else Told())

    await sender.learn(attempt, ELSEWHERE)

    assert (await pool.fetchval("SELECT max(failures) FROM destinations") == 1) is counts


async def test_what_is_remembered_of_destinations_is_bounded(sender):
    for number in range(2 * MOST_REMEMBERED):
        sender.destinations.enter(f"https://{number}.example.org")
        await sender.learn(answered(), f"https://{number}.example.org")

    kept = [each for each in vars(sender.destinations).values() if isinstance(each, dict)]
    assert max(map(len, kept)) == MOST_REMEMBERED


async def test_those_that_are_left_alone_are_counted_by_why(sender, now):
    await sender.learn(answered(Told(blocked_s=100)))
    for _ in range(BREAKER.failures):
        await sender.learn(broken(now), ELSEWHERE)
    await sender.ask([*sender.jobs(1), *sender.jobs(1, ELSEWHERE), *sender.jobs(1, "discord.com/3")])

    assert sender.destinations.blocked(now) == (1, 1)
    assert sender.destinations.blocked(now + timedelta(seconds=50)) == (1, 0)
    assert sender.destinations.blocked(now + timedelta(seconds=200)) == (0, 0)
