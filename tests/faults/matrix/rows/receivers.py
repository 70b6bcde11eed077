"""Receivers misbehave: some of them, and it must not be felt at the others."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from faults.matrix import hostility, latenesses, lines, patience
from faults.matrix.fault import BY_RECEIVER, Fault
from faults.matrix.rows.cuts import RETRIED_S
from faults.matrix.scene import Scene
from tocsin_local.script import DRIP, HUGE, NO_ANSWER, RESET, RESET_AFTER_HEADERS, Script

HOSTILE = 10
HOSTILE_S = 20
OTHERS_LATE_S = 10.0
"""The others' POSTs begin within so much of their instants: none waits for one that ends by its timeout."""

ATTEMPTS = """
SELECT count(*) FILTER (WHERE http_status = $2 OR message LIKE $3) AS met, count(*) AS attempts
FROM task_logs WHERE task_id = ANY($1) AND execution_time BETWEEN $4 AND $5
"""
STOPPED = "SELECT count(*) = $2 FROM tasks WHERE id = ANY($1) AND status = 'FAILED'"
IN_A_ROW = """
SELECT t.id, count(e.task_id) FILTER (WHERE e.state = 'failed' AND NOT EXISTS (
    SELECT FROM executions s WHERE s.task_id = t.id AND s.state = 'succeeded' AND s.finished_at > e.finished_at
)) AS in_a_row
FROM tasks t LEFT JOIN executions e ON e.task_id = t.id WHERE t.id = ANY($1) GROUP BY t.id
"""
IN_A_ROW_STOP = 10
"""What stops a task where nobody has set `AUTO_DISABLE_AFTER`."""
NOW = "SELECT clock_timestamp()"

WITHOUT_BREAKER = {"BREAKER_FAILURES": "1000000"}
"""It would let one POST a minute through, and the attempts of all that waits would last for days."""


async def answer_badly(then: int, status: int, words: str, scene: Scene) -> None:
    """For a while they do so. Their attempts have this status, or a message like this."""
    since: datetime = await scene.ask(NOW)
    await hostility.answer(then, HOSTILE_S, scene.load.webhooks[:HOSTILE])
    scene.fault_is_over()
    await _look_at(scene, since, status, words)


async def fail_for_ever(scene: Scene) -> None:
    """Until their tasks that come each second have been stopped for it."""
    since: datetime = await scene.ask(NOW)
    hostility.follow(Script(then=500), scene.load.webhooks[:HOSTILE])
    steady = [task.task_id for task in scene.load.of_each_second() if task.task_id in scene.load.hostile]
    await patience.eventually(partial(scene.ask, STOPPED, steady, len(steady)))
    scene.fault_is_over()
    await _look_at(scene, since, 500, "")
    scene.at_end.append(partial(_ten_failed_in_a_row, scene, steady))


async def show_a_bad_certificate(scene: Scene) -> None:
    """One that has run out; then a good one again. Each time the connections that stand are reset."""
    since: datetime = await scene.ask(NOW)
    relay = scene.lines.with_tls()
    for expired in (True, False):
        relay.tls = scene.authority.server(*relay.hosts, expired=expired)
        await lines.cut([relay])
        await lines.restore([relay])
        await asyncio.sleep(HOSTILE_S if expired else 0)
    scene.fault_is_over()
    await _look_at(scene, since, 0, "the host's certificate is not valid")


async def _look_at(scene: Scene, since: datetime, status: int, words: str) -> None:
    """That it was met, and, when all has ended, that the others were not late."""
    until: datetime = await scene.ask(NOW)
    scene.at_end += [
        partial(_was_met, scene, since, until, status, words),
        partial(_others_are_in_time, scene, since, until),
    ]


async def _was_met(scene: Scene, since: datetime, until: datetime, status: int, words: str) -> None:
    [(met, attempts)] = await scene.database.fetch(ATTEMPTS, scene.load.hostile, status, words, since, until)
    scene.saw(met, f"attempts met it, of {attempts} at {HOSTILE} receivers")


async def _ten_failed_in_a_row(scene: Scene, tasks: Sequence[UUID]) -> None:
    """Of each task, and none of its succeeded in between."""
    failures = [row["in_a_row"] for row in await scene.database.fetch(IN_A_ROW, tasks)]
    enough = sum(each >= IN_A_ROW_STOP for each in failures)
    scene.remarks.append(
        f"{enough} of {len(tasks)} tasks had failed {min(failures)} to {max(failures)} times in a row"
    )
    if enough < len(tasks):
        scene.problems.append(
            f"I1: {len(tasks) - enough} tasks were stopped before {IN_A_ROW_STOP} failures in a row"
        )


async def _others_are_in_time(scene: Scene, since: datetime, until: datetime) -> None:
    others = [task for task in scene.load.tasks if task.task_id not in scene.load.hostile]
    found_s = latenesses.of_first_posts(others, scene.receiver.posts, since=since, until=until)
    scene.remarks.append(f"the others' POSTs were late by {latenesses.in_words(found_s)}")
    if max(found_s) > OTHERS_LATE_S:
        scene.problems.append(f"late: a POST to another receiver was {max(found_s):.1f} s late")


def _row(name: str, what: str, then: int, *, status: int = 0, words: str = "", may_fail: bool = False) -> Fault:
    """`may_fail`: all attempts of an execution may be spent in that time."""
    return Fault(
        f"receiver_{name}",
        f"{HOSTILE} of 50 receivers {what}, for {HOSTILE_S} s",
        partial(answer_badly, then, status, words),
        bound_s=RETRIED_S,
        repeats=BY_RECEIVER,
        hostile=HOSTILE,
        hostile_ends=frozenset({"succeeded", "failed"} if may_fail else {"succeeded"}),
    )


ROWS: Sequence[Fault] = (
    _row("429_storm", "refuse every POST with 429", 429, status=429),
    Fault(
        "receiver_500_for_ever",
        f"{HOSTILE} of 50 receivers answer 500 for ever: ten failures in a row stop a task",
        fail_for_ever,
        bound_s=RETRIED_S,
        settings=WITHOUT_BREAKER,
        repeats=BY_RECEIVER,
        hostile=HOSTILE,
        hostile_ends=frozenset({"succeeded", "failed", "cancelled"}),
    ),
    _row("hangs", "say nothing", NO_ANSWER, words="no answer within%"),
    _row("drips", "answer byte by byte, without end", DRIP, words="%answer cut off%"),
    _row(
        "resets",
        "reset the connection before the answer",
        RESET,
        words="the %connection%",
        may_fail=True,
    ),
    _row(
        "resets_after_headers",
        "reset the connection after the headers",
        RESET_AFTER_HEADERS,
        words="%answer cut off%",
        may_fail=True,
    ),
    _row("answers_without_end", "send an answer without end", HUGE, words="%answer cut off%"),
    Fault(
        "receiver_bad_tls",
        f"{HOSTILE} of 50 receivers show a certificate that has run out, for {HOSTILE_S} s",
        show_a_bad_certificate,
        bound_s=RETRIED_S,
        repeats=BY_RECEIVER,
        hostile=HOSTILE,
        tls=True,
    ),
)
