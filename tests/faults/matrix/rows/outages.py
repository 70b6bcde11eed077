"""Nobody schedules for longer than the grace: what is older then fires or is missed as each task's policy says."""

import asyncio
from collections.abc import Container
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from faults.matrix import caught_up
from faults.matrix.fault import OR_MISSED, SOON_S, Burst, Fault
from faults.matrix.load import EVERY_SECOND, every
from faults.matrix.scene import Scene
from faults.outage import Outage, Rules

RULES = Rules(grace=timedelta(seconds=10), limit=5)
AWAY_S = 20
BURSTS = Burst(500, 30)
BEFORE_BURST_S = 2.0
"""So long before a burst the schedulers end: when they are back it is older than the grace, and its tasks owe
nothing newer. That is where the policy `latest` fires it."""
PERIODS_S = {EVERY_SECOND: 1, every(BURSTS.every_s): BURSTS.every_s}

WATERMARK = "SELECT watermark FROM scheduler_lease"
ROWS_OF = """
SELECT task_id, scheduled_for, state, missed_from, missed_count FROM executions
WHERE scheduled_for > $1 AND scheduled_for <= $2
"""


async def end_both_schedulers(catch_up: str, scene: Scene) -> None:
    """They are killed, and come back when the grace is over."""
    schedulers = scene.of_role("scheduler")
    await asyncio.sleep((BURSTS.until_next_s(datetime.now(UTC)) - BEFORE_BURST_S) % BURSTS.every_s)
    for part in schedulers:
        await part.kill()
    since: datetime = await scene.ask(WATERMARK)
    rows = await scene.database.fetch(ROWS_OF, since, datetime.now(UTC))
    emitted = {(row["task_id"], row["scheduled_for"]) for row in rows}
    await asyncio.sleep(AWAY_S)
    away = Outage(since, datetime.now(UTC))
    for part in schedulers:
        await part.start()
    scene.fault_is_over()
    scene.at_end.append(partial(_look, scene, catch_up, away, emitted))


async def _look(scene: Scene, catch_up: str, away: Outage, emitted: Container[tuple[UUID, datetime]]) -> None:
    """Whether what fired and what was missed is what a look at every second says."""
    outage = next((each for each in await scene.notes.gaps() if each.until > away.until), None)
    if outage is None or outage.since != away.since:
        scene.problems.append(f"I1: nothing was emitted since {away.since}, and {outage} was made up for")
        return
    # What users create has a policy of its own.
    there = [task for task in scene.load.tasks if task.schedule in PERIODS_S]
    tasks = {task.task_id: caught_up.owed_in(outage, PERIODS_S[task.schedule]) for task in there}
    rows = await scene.database.fetch(ROWS_OF, *outage)
    scene.problems += caught_up.problems(tasks, rows, catch_up, outage, RULES, emitted)
    missed = sum(row["missed_count"] or 0 for row in rows)
    scene.saw(missed, f"instants were missed, of {sum(map(len, tasks.values()))} of the outage")


ROWS = tuple(
    Fault(
        f"schedulers_down_{catch_up}",
        f"Both schedulers are down for {AWAY_S} s, twice the grace: {what}",
        partial(end_both_schedulers, catch_up),
        bound_s=SOON_S,
        settings={
            "CATCH_UP_GRACE_S": f"{RULES.grace.total_seconds():g}",
            "CATCH_UP_LIMIT": str(RULES.limit),
        },
        burst=BURSTS,
        ends=OR_MISSED,
        catch_up=catch_up,
    )
    for catch_up, what in (
        ("skip", "nothing fires that is older (policy `skip`)"),
        ("latest", "of what is older the newest fires (policy `latest`)"),
        ("all", f"of what is older the newest {RULES.limit} fire (policy `all`)"),
    )
)
