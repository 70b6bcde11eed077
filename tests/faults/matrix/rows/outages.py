"""Nobody schedules for longer than the grace: what is older then fires or is missed as each task's policy says."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

from faults.matrix.fault import OR_MISSED, SOON_S, Burst, Fault
from faults.matrix.scene import Scene
from faults.outage import Rules

RULES = Rules(grace=timedelta(seconds=10), limit=5)
AWAY_S = 20
BURSTS = Burst(500, 30)
BEFORE_BURST_S = 2.0
"""So long before a burst the schedulers end: when they are back it is older than the grace, and its tasks owe
nothing newer. That is where the policy `latest` fires it."""

WATERMARK = "SELECT watermark FROM scheduler_lease"
MISSED = """
SELECT coalesce(sum(missed_count), 0)::int FROM executions
WHERE state = 'missed' AND scheduled_for > $1 AND scheduled_for <= $2
"""


async def end_both_schedulers(scene: Scene) -> None:
    """They are killed, and come back when the grace is over. What is left then is judged of each run."""
    schedulers = scene.of_role("scheduler")
    await asyncio.sleep((BURSTS.until_next_s(datetime.now(UTC)) - BEFORE_BURST_S) % BURSTS.every_s)
    for part in schedulers:
        await part.kill()
    since: datetime = await scene.ask(WATERMARK)
    await asyncio.sleep(AWAY_S)
    until = datetime.now(UTC)
    for part in schedulers:
        await part.start()
    scene.fault_is_over()
    scene.at_end.append(partial(_look, scene, since, until))


async def _look(scene: Scene, since: datetime, until: datetime) -> None:
    """Whether the outage was made up for as a whole, and something of it was missed."""
    found = next((gap.outage for gap in await scene.notes.gaps() if gap.outage.until > until), None)
    if found is None or found.since != since:
        scene.problems.append(f"I1: nothing was emitted since {since}, and {found} was made up for")
        return
    missed = await scene.ask(MISSED, *found)
    scene.saw(missed, "instants of the outage were missed")


ROWS = tuple(
    Fault(
        f"schedulers_down_{catch_up}",
        f"Both schedulers are down for {AWAY_S} s, twice the grace: {what}",
        end_both_schedulers,
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
