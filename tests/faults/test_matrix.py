"""A selection of the fault matrix: each kind of process, both servers, a line and receivers are hit.

These are the rows' own faults, once instead of many times and with less load; `make faults` has all of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from faults.matrix import hostility, run, users
from faults.matrix.fault import Burst, Fault
from faults.matrix.rows import api, broker, cuts, database, scheduler, sender
from faults.matrix.scene import Scene, open_scene
from faults.own_servers import own_stack
from tocsin_local.oracle import fates, owed

SEED = 1
TRIES = 5
CUT_S = 6  # longer than a leader holds its lease without the database
HOSTILE_S = 4

SETTINGS = {
    **cuts.WITHOUT_RECEIVERS,
    # So that a burst takes its time to be emitted.
    "EMISSION_CHUNK": "10",
    # So that it does not take long until what a dead sender had comes again, and nothing else runs out.
    "POST_TIMEOUT_S": "8",
    "CLAIM_TTL_S": "11",
    "SWEEP_PATIENCE_S": "3",
    "SWEEP_OUTAGE_PATIENCE_S": "5",
}


async def hit_all_but_senders(scene: Scene) -> None:
    await asyncio.gather(meets(scheduler.kill_once, scene), api.kill_once(1, scene))
    await users.check(scene)
    await meets(broker.kill_once, scene)
    await meets(database.kill_once, scene)


async def hit_lines_senders_and_receivers(scene: Scene) -> None:
    await asyncio.gather(
        cuts.reset("scheduler", "database", CUT_S, scene),
        meets(sender.kill_once, scene),
        *(hostility.answer_at_half(each, HOSTILE_S, scene) for each in hostility.ANSWERS.values()),
    )


async def meets(fault: Callable[[Scene], Awaitable[bool]], scene: Scene) -> None:
    """Let it happen until it comes in the middle of what it is about."""
    for _ in range(TRIES):
        if await fault(scene):
            return
    raise AssertionError(f"{fault.__module__} did not meet its moment in {TRIES} tries")


def answered_and_posted_again(scene: Scene) -> list[str]:
    """Executions that had a POST after one that was answered with success."""
    due = owed(scene.load.tasks, until=max(post.arrived_at for post in scene.receiver.posts))
    return [
        f"{fate.owed.scheduled_for} of {fate.owed.task.task_id}"
        for fate in fates(due, scene.receiver.posts)
        if any(before.succeeded for before, _ in pairwise(fate.posts))
    ]


SELECTION = Fault(
    "selection",
    "Some of the rows",
    hit_all_but_senders,
    bound_s=60,
    settings=SETTINGS,
    burst=Burst(200, 5),
    steady=10,
    ends=cuts.MAY_FAIL,
)


@pytest.mark.timeout(190)
async def test_a_selection_of_the_faults_breaks_no_invariant():
    with own_stack() as stack:
        async with open_scene(stack, SELECTION, SEED) as scene:
            await hit_all_but_senders(scene)
            recoveries_s = [await run.recover(scene)]
            again = answered_and_posted_again(scene)

            scene.begins()
            await hit_lines_senders_and_receivers(scene)
            recoveries_s.append(await run.recover(scene))
            seen = await run.conclude(scene, SELECTION)
        found = await run.sum_up(scene, recoveries_s, seen)

    assert again == []  # whoever had an answer lived on and recorded it
    assert found.problems == []
    assert found.counts.lost == 0
    assert found.ends == 0
