"""SHELL. A sender is killed 20 times in the middle of much work: what is posted again, and when all is done."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import NamedTuple
from uuid import UUID

import asyncpg

from bench import arrivals
from bench.figures import at_most, row
from bench.sink_stage import RECORDED, SENDER, TIMEOUT_S, SinkStage
from bench.stage import SCHEDULER
from tocsin_common.messages import Job, execution_id
from tocsin_local.errors import StackError
from tocsin_local.report import Row

EXECUTIONS = 40_000  # in fewer messages than those above which nothing is announced again
KILLS = 20
FEWEST, MOST = 100, 1500  # POSTs from a start to the kill
SEED = 5
SETTLE_S = 180.0
POLL_S = 0.02

# A statement that was under way at the kill goes on until its end.
SENDERS_CONNECTED = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'tocsin-sender@%'"

IN_FLIGHT = """
SELECT task_id, scheduled_for, destination FROM executions
WHERE state = 'running' AND claimed_by LIKE '%:' || $1::text
"""

FINISHED = "SELECT task_id, scheduled_for, finished_at FROM executions"


class Kill(NamedTuple):
    """One SIGKILL, and what was in flight then: the rows that this sender had claimed and not recorded."""

    at: datetime
    in_flight: frozenset[UUID]


async def measure(stage: SinkStage) -> list[Row]:
    """Rows of all kills."""
    expected = await _announce(stage)
    await stage.lead(SCHEDULER)  # its sweeper brings back what a kill has left
    chance = Random(SEED)  # noqa: S311 - no secret
    kills = [await _kill(stage, chance.randint(FEWEST, MOST)) for _ in range(KILLS)]
    stage.services.start([SENDER])
    await stage.settled(timeout_s=SETTLE_S)
    posts = arrivals.posts(await stage.sink.arrived())
    finished_at = await _finished_at(stage)
    if posts.keys() != expected or finished_at.keys() != expected:
        raise StackError(f"Of {len(expected)} executions {len(posts)} were posted.")
    return _rows(kills, posts, [(last_of(kill, finished_at) - kill.at).total_seconds() for kill in kills])


def last_of(kill: Kill, finished_at: dict[UUID, datetime]) -> datetime:
    """When the last was done of what was in flight at a kill; the kill's time where nothing was."""
    return max([kill.at, *(finished_at[each] for each in kill.in_flight)])


def unexplained(posts: Counter[UUID], kills: Sequence[Kill]) -> int:
    """POSTs beyond the first of an execution and one more for each kill at which it was in flight."""
    allowed = Counter(each for kill in kills for each in kill.in_flight)
    return sum(max(0, count - 1 - allowed[each]) for each, count in posts.items())


async def _announce(stage: SinkStage) -> set[UUID]:
    tasks = await stage.add(stage.silent_bells(EXECUTIONS))
    await stage.settle()
    jobs = await stage.owe(tasks)
    await stage.announce(jobs)
    return set(arrivals.instants(jobs))


async def _kill(stage: SinkStage, posts: int) -> Kill:
    """Start a sender, and kill it after so many POSTs."""
    before = stage.sink.count()
    stage.services.start([SENDER])
    await stage.sink.reached(before + posts, timeout_s=TIMEOUT_S)
    pid, killed_at = stage.pid(SENDER), datetime.now(UTC)
    stage.services.kill(SENDER)
    async with stage.database() as database:
        while await database.fetchval(SENDERS_CONNECTED):  # noqa: ASYNC110 - a server does not tell by itself
            await asyncio.sleep(POLL_S)
        jobs = [Job(*record) for record in await database.fetch(IN_FLIGHT, str(pid))]
    return Kill(killed_at, frozenset(arrivals.instants(jobs)))


async def _finished_at(stage: SinkStage) -> dict[UUID, datetime]:
    async with stage.database() as database:
        recorded = await database.fetchrow(RECORDED)
        records: list[asyncpg.Record] = await database.fetch(FINISHED)
    if recorded["succeeded"] != recorded["rows"]:
        raise StackError(f"Not each execution has succeeded: {dict(recorded)}")
    return {execution_id(task_id, instant): finished_at for task_id, instant, finished_at in records}


def _rows(kills: Sequence[Kill], posts: Counter[UUID], done_after_s: Sequence[float]) -> list[Row]:
    in_flight = [len(kill.in_flight) for kill in kills]
    return [
        row("kills_in_flight_each", in_flight, "executions"),
        row("kills_extra_posts", [posts.total() - len(posts)], "POSTs", at_most(sum(in_flight))),
        row("kills_unexplained_posts", [unexplained(posts, kills)], "POSTs", at_most(0)),
        row("kills_all_done_after", [max(done_after_s)], "s", at_most(45)),
    ]
