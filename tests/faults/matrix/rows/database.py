"""PostgreSQL is hit."""

import asyncio
from datetime import UTC, datetime
from functools import partial

from faults.matrix.fault import NOT_RECORDED, Fault
from faults.matrix.scene import Scene

AWAY_S = 60


async def restart(scene: Scene) -> None:
    """As its operator would: a fast shutdown."""
    await scene.postgres.stop()
    await scene.bring_back(scene.postgres)


async def kill(scene: Scene) -> None:
    """Its main process dies, and the others with it; the next start recovers from the log."""
    scene.hit(await kill_once(scene), 1, "kills left a sender with outcomes that it could not record yet")


async def kill_once(scene: Scene) -> bool:
    """In a burst, while POSTs are under way: whether senders had to keep what came of them."""
    before = _kept(scene)
    await asyncio.sleep(scene.burst.until_next_s(datetime.now(UTC)))
    await scene.receiver.wait_for_posts(len(scene.receiver.posts) + scene.burst.size // 2)
    await scene.postgres.kill()
    await scene.bring_back(scene.postgres)
    return _kept(scene) > before


def _kept(scene: Scene) -> int:
    return sum(len(part.process.all_logged("outcomes.kept")) for part in scene.of_role("sender"))


async def stay_away(seconds: float, scene: Scene) -> None:
    """What is older than the grace by then is missed."""
    await scene.postgres.stop()
    await asyncio.sleep(seconds)
    await scene.bring_back(scene.postgres)


ROWS = (
    Fault("database_restarted", "PostgreSQL is restarted", restart, bound_s=60),
    Fault("database_killed", "PostgreSQL is killed", kill, bound_s=60, repeats=NOT_RECORDED),
    Fault(
        f"database_away_{AWAY_S}s",
        f"PostgreSQL is away for {AWAY_S} s",
        partial(stay_away, AWAY_S),
        bound_s=60,
        repeats=NOT_RECORDED,
    ),
)
