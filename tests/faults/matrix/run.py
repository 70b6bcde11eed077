"""SHELL. A fault under load: it happens and all recovers, once or several times, and then all of it is judged."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from e2e.evidence import tables
from faults.matrix import judging, recovery, secrecy, users, verdict
from faults.matrix.fault import Fault
from faults.matrix.scene import Scene, open_scene
from faults.matrix.verdict import Counts, Verdict
from tocsin_local.stack import Stack

BEFORE_S = 4.0
"""Of steady load before the fault."""
AFTER_S = 2.0
"""And after the recovery."""
GIVE_UP_S = 240.0
POLL_S = 0.05
BEHIND_AT_PAUSE = timedelta(seconds=2)
"""What a leader that emits in time may be behind when it is told to pause."""

QUIET = """
SELECT NOT EXISTS (SELECT FROM executions WHERE state IN ('due', 'waiting', 'running'))
   AND NOT EXISTS (SELECT FROM executions WHERE scheduled_for > clock_timestamp() - interval '5 s')
   AND expires_at > clock_timestamp() FROM scheduler_lease
"""
"""Each second is owed, so a leader that has emitted none of the last ones knows of the pause."""
IS_CUT_IN_TWO = "SELECT EXISTS (SELECT FROM executions, scheduler_lease WHERE scheduled_for > watermark)"
"""A pause may come between two chunks of an instant; the others come when it is over."""
OPEN = """
SELECT format('%s of %s from %s to %s', count(*), state, min(scheduled_for), max(scheduled_for))
FROM executions WHERE state IN ('due', 'waiting', 'running') GROUP BY state
"""
PAGES = (
    "/api/tasks",
    "/api/logs",
    "/api/executions",
    "/api/tasks/dashboard/stats",
    "/api/scheduler",
    "/health/ready",
)


class Run(NamedTuple):
    """What became of it."""

    recoveries_s: list[float]
    """Of each time that the fault happened."""
    verdict: Verdict
    problems: list[str]
    """All of them, the verdict's too; what breaks an invariant begins with its name."""
    remarks: list[str]
    ends: int
    """Processes that ended although nobody told them to, and were started again."""

    @property
    def counts(self) -> Counts:
        """What it came to."""
        return self.verdict.counts


class Seen(NamedTuple):
    """What is left of a run when its servers are gone."""

    verdict: Verdict
    tables: str
    """All of them."""


async def run(stack: Stack, fault: Fault, *, times: int, seed: int) -> Run:
    """Let it happen so often, on a stack that was just started and that nothing else uses."""
    async with open_scene(stack, fault, seed) as scene:
        recoveries_s = [await happen(scene, fault) for _ in range(times)]
        seen = await conclude(scene, fault)
    return await sum_up(scene, recoveries_s, seen)


async def conclude(scene: Scene, fault: Fault) -> Seen:
    """Let all that was emitted end, and judge it; the scene is to be closed then."""
    until = await _quiet(scene)
    await _read_everything(scene)
    for look in scene.at_end:
        await look()
    return Seen(await judging.judge(scene, fault, until), await tables(scene.database))


async def sum_up(scene: Scene, recoveries_s: list[float], seen: Seen) -> Run:
    """With what a scene that was closed has left to be seen."""
    hidden = secrecy.hidden(scene.load.tokens, scene.environment, scene.urls)
    for server in (scene.postgres, scene.rabbitmq):
        scene.evidence.keep_logs(server)
    places = {**scene.evidence.places(scene.crew), "tables": seen.tables}
    leaks = await secrecy.problems(hidden, {**places, **scene.evidence.rest()})
    late = verdict.came_late(scene.receiver.posts, seen.verdict.counts)
    misses = [f"fault: {miss}" for miss in scene.misses]
    problems = [*seen.verdict.problems, *late, *scene.problems, *misses, *leaks, *secrecy.unseen(places)]
    ends = sum(part.ends for part in scene.parts.values())
    problems += [f"stop: {part.name} ended by itself" for part in scene.parts.values() for _ in range(part.ends)]
    return Run(recoveries_s, seen.verdict, problems, scene.remarks, ends)


async def happen(scene: Scene, fault: Fault) -> float:
    """Seconds to recover from it; of one that is done several times those of the worst, where it measures each."""
    await asyncio.sleep(BEFORE_S)
    scene.begins()
    try:
        await fault.inflict(scene)
    except Exception as error:  # whatever it is, what was there before it is judged all the same
        scene.problems.append(f"fault: it could not be done: {error!r}")
    on_the_way = scene.recoveries_s
    recovery_s = await recover(scene)
    if on_the_way:
        scene.remarks.append(
            f"recovered after {max(on_the_way):.1f} s, the longest of {len(on_the_way)} on the way; "
            f"all was well {recovery_s:.1f} s after the last"
        )
    await asyncio.sleep(AFTER_S)
    return max([recovery_s, *on_the_way])


async def recover(scene: Scene) -> float:
    """Seconds since the fault was over, or since now, until all is well."""
    over_at = scene.over_at or datetime.now(UTC)
    if lacking := await recovery.lacking(scene, over_at, GIVE_UP_S):
        words = "; ".join([*lacking, await _open(scene)])
        scene.problems.append(
            f"I1: not all was well {(datetime.now(UTC) - over_at).total_seconds():.0f} s later: {words}"
        )
    return (datetime.now(UTC) - over_at).total_seconds()


async def _quiet(scene: Scene) -> datetime:
    """Let nothing more be emitted, and all end that was: the instant up to which all that is owed has its row."""
    while True:
        if not await _becomes_true(scene, recovery.IN_TIME, datetime.now(UTC)):
            scene.problems.append(f"I1: nobody emits what is owed in time: {await _open(scene)}")
        (await users.ask(scene, "POST", "/api/scheduler/pause")).raise_for_status()
        if not await _becomes_true(scene, QUIET):
            scene.problems.append(f"I1: executions stay open: {await _open(scene)}")
            break
        if not await scene.ask(IS_CUT_IN_TWO):
            break
        (await users.ask(scene, "POST", "/api/scheduler/resume")).raise_for_status()
    until: datetime = await scene.ask("SELECT watermark FROM scheduler_lease")
    paused_at: datetime = await scene.ask("SELECT paused_at FROM scheduler_pause")
    if paused_at - until > BEHIND_AT_PAUSE:
        scene.problems.append(f"I1: scheduling was paused at {paused_at}, and nothing was emitted since {until}")
    return until


async def _becomes_true(scene: Scene, question: str, *arguments: object) -> bool:
    try:
        async with asyncio.timeout(GIVE_UP_S):
            while not await scene.ask(question, *arguments):  # noqa: ASYNC110 - a server does not tell by itself
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        return False
    return True


async def _open(scene: Scene) -> str:
    return "; ".join(row[0] for row in await scene.database.fetch(OPEN))


async def _read_everything(scene: Scene) -> None:
    """What people look at."""
    for number, _ in enumerate(scene.evidence.answers, 1):
        for page in PAGES:
            await users.ask(scene, "GET", page, api=number)
    await scene.evidence.look()
