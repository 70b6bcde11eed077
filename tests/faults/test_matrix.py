"""A selection of the fault matrix: each kind of process, both servers, lines, messages and receivers are hit.

These are the rows' own faults, once instead of many times and with less load; `make faults` has all of them.
"""

import asyncio
from collections import defaultdict
from itertools import pairwise
from uuid import UUID

import pytest

from faults.matrix import editors, hostility, moments, run, users
from faults.matrix.fault import ANY_REPEAT, Burst, Fault
from faults.matrix.rows import (
    api,
    broker,
    cuts,
    database,
    everything,
    messages,
    operators,
    scheduler,
    sender,
    strange_messages,
)
from faults.matrix.scene import Scene, open_scene
from faults.own_servers import own_stack
from tocsin_local.post import Post

SEED = 1
CUT_S = 6  # longer than a leader holds its lease without the database
HOSTILE_S = 4
STANDS_STILL_S = 8  # longer than its lease
HINTS = 4
TWICE_S = 4
ALARM_S = 6

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


async def hit_messages_and_answers(scene: Scene) -> None:
    await cuts.reset_once_before_the_answer(scene)
    await strange_messages.double_every_message(TWICE_S, scene)
    await asyncio.gather(
        scheduler.stop_leader(STANDS_STILL_S, scene),
        cuts.silence("sender", "database", CUT_S, scene),
        messages.lose_every_hint(HINTS, scene),
    )
    await operators.delete_queues_once(scene)
    await operators.ring("memory", ALARM_S, scene)


async def meets(blow: moments.Blow, scene: Scene) -> None:
    assert await moments.meet(blow, scene), f"{blow} did not meet its moment"


def answered_and_posted_again(scene: Scene) -> list[UUID | None]:
    """Executions that had a POST after one that was answered with success."""
    posts: dict[UUID | None, list[Post]] = defaultdict(list)
    for post in scene.receiver.posts:
        posts[post.execution_id].append(post)
    return [number for number, mine in posts.items() if any(before.succeeded for before, _ in pairwise(mine))]


SELECTION = Fault(
    "selection",
    "Some of the rows",
    hit_all_but_senders,
    bound_s=60,
    settings=SETTINGS,
    burst=Burst(200, 5),
    steady=10,
    ends=cuts.MAY_FAIL,
    repeats=ANY_REPEAT,
)


@pytest.mark.timeout(300)
async def test_a_selection_of_the_faults_breaks_no_invariant():
    with own_stack() as stack:
        async with open_scene(stack, SELECTION, SEED) as scene:
            async with editors.editing(scene):
                await hit_all_but_senders(scene)
            recoveries_s = [await run.recover(scene)]
            again = answered_and_posted_again(scene)

            scene.begins()
            async with editors.editing(scene):
                await hit_lines_senders_and_receivers(scene)
            recoveries_s.append(await run.recover(scene))

            scene.begins()
            await hit_messages_and_answers(scene)
            recoveries_s.append(await run.recover(scene))

            scene.begins()
            await everything.roll(scene)
            recoveries_s.append(await run.recover(scene))
            editors.show(scene)
            await users.check(scene)
            seen = await run.conclude(scene, SELECTION)
        found = await run.sum_up(scene, recoveries_s, seen)

    assert again == []  # whoever had an answer lived on and recorded it
    assert found.problems == []
    assert found.counts.lost == 0
