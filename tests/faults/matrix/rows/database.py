"""PostgreSQL is hit."""

import asyncio
from datetime import UTC, datetime
from functools import partial

from faults.matrix.fault import NOT_RECORDED, OR_MISSED, SOON_S, SWEPT_S, Fault
from faults.matrix.scene import Scene

AWAY_S = 75  # longer than the grace
RECORDED_LATER = "outcomes.kept"
MISSED = "SELECT coalesce(sum(missed_count), 0) FROM executions WHERE state = 'missed'"


async def restart(scene: Scene) -> None:
    """As its operator would: a fast shutdown."""
    await stay_away(0, scene)


async def kill(scene: Scene) -> None:
    """Its main process dies, and the others with it; the next start recovers from the log."""
    scene.hit(await kill_once(scene), 1, "kills left a sender with outcomes that it could not record yet")


async def kill_once(scene: Scene) -> bool:
    """In a burst, while POSTs are under way: whether senders had to keep what came of them."""
    before = len(scene.logged("sender", RECORDED_LATER))
    await asyncio.sleep(scene.burst.until_next_s(datetime.now(UTC)))
    await scene.receiver.wait_for_posts(len(scene.receiver.posts) + scene.burst.size // 2)
    with scene.blinding():
        await scene.postgres.kill()
        await scene.bring_back(scene.postgres)
    scene.fault_is_over()
    return len(scene.logged("sender", RECORDED_LATER)) > before


async def go_for_long(scene: Scene) -> None:
    """For longer than the grace: what is older by then than that is missed, as each task's policy says."""
    await stay_away(AWAY_S, scene)
    scene.at_end.append(partial(_were_missed, scene))


async def stay_away(seconds: float, scene: Scene) -> None:
    """And come back."""
    before = scene.lines.ended("database")
    with scene.blinding():
        await scene.postgres.stop()
        await asyncio.sleep(seconds)
        await scene.bring_back(scene.postgres)
    scene.fault_is_over()
    scene.saw(scene.lines.ended("database") - before, "connections to PostgreSQL ended")


async def _were_missed(scene: Scene) -> None:
    scene.saw(int(await scene.ask(MISSED)), "instants were older than the grace, and missed")


ROWS = (
    Fault("database_restarted", "PostgreSQL is restarted", restart, bound_s=SOON_S),
    Fault("database_killed", "PostgreSQL is killed", kill, bound_s=SWEPT_S, repeats=NOT_RECORDED),
    Fault(
        f"database_away_{AWAY_S}s",
        f"PostgreSQL is away for {AWAY_S} s, longer than the grace",
        go_for_long,
        bound_s=SOON_S,
        ends=OR_MISSED,
        repeats=NOT_RECORDED,
    ),
)
