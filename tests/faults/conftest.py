"""What a fault is about to hit: the processes of the end to end tests, with much to do at one instant."""

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from e2e.conftest import Start, receiver, start
from e2e.conftest import environment as short_waits
from faults import cast
from faults.burst import SIZE, Burst
from faults.cast import Cast
from faults.owing import Database
from faults.witness import Witness
from tocsin_common.sealing import Sealer
from tocsin_dispatcher.scheduler import sql
from tocsin_local.receiver import Receiver

SETTLE = "UPDATE scheduler_lease SET feed_xid = pg_current_xact_id(), database_id = $1"
"""As a leader leaves it that has seen every task."""

StartCast = Callable[..., Awaitable[Cast]]

__all__ = ["receiver", "short_waits", "start"]  # fixtures, too


@pytest.fixture
def environment(short_waits: dict[str, str]) -> dict[str, str]:
    """Nothing runs out because the machine has much to do, and the sweeper is the last to bring something back."""
    return {
        **short_waits,
        "FEED_POLL_S": "0.2",
        "LEASE_TTL_S": "4",
        "LEASE_HOLD_S": "3.5",
        "IN_FLIGHT_PER_DESTINATION": "100",
        "POST_TIMEOUT_S": "20",
        "DRAIN_TIMEOUT_S": "25",
        "CLAIM_TTL_S": "25",
        "SWEEP_PATIENCE_S": "30",
    }


@pytest.fixture
async def witness(database: Database) -> Witness:
    """One that looks on from the first row on."""
    witness = Witness(database)
    await witness.install()
    return witness


@pytest.fixture
async def burst(
    request: pytest.FixtureRequest,
    database: Database,
    receiver: Receiver,
    environment: dict[str, str],
) -> Burst:
    """A burst that is owed and held back; a test that need not have thousands says how many by its parameter."""
    await database.execute("UPDATE scheduler_lease SET watermark = clock_timestamp()")
    burst = Burst(database, receiver, getattr(request, "param", SIZE))
    await burst.prepare(Sealer.from_setting(environment["SEALING_KEYS"]))
    lease = await database.fetchrow(sql.LEASE)
    await database.execute(SETTLE, lease["current_database_id"])
    return burst


@pytest.fixture
def start_cast(start: Start, burst: Burst) -> StartCast:
    """Starts a leader that will freeze in the middle of the burst, a standby and a sender."""
    return partial(cast.start_cast, start, burst)
