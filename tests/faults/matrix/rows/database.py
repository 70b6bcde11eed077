"""PostgreSQL is hit."""

import asyncio

from faults.matrix.fault import Fault
from faults.matrix.scene import Scene

AWAY_S = 60


async def restart(scene: Scene) -> None:
    """As its operator would: a fast shutdown."""
    await scene.postgres.stop()
    await scene.bring_back(scene.postgres)


async def kill(scene: Scene) -> None:
    """Its main process dies, and the others with it; the next start recovers from the log."""
    await scene.postgres.kill()
    await scene.bring_back(scene.postgres)


async def stay_away(scene: Scene) -> None:
    """About as long as the grace: what is older by then is missed."""
    await scene.postgres.stop()
    await asyncio.sleep(AWAY_S)
    await scene.bring_back(scene.postgres)


ROWS = (
    Fault("database_restarted", "PostgreSQL is restarted", restart, bound_s=60),
    Fault("database_killed", "PostgreSQL is killed", kill, bound_s=60),
    Fault(f"database_away_{AWAY_S}s", f"PostgreSQL is away for {AWAY_S} s", stay_away, bound_s=60),
)
