"""SHELL. What the composition root built and the handlers work with."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple, TypeAlias

import asyncpg
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from tocsin_api.cached import Cached
from tocsin_api.hints import Hints
from tocsin_api.key_ring import KeyRing
from tocsin_api.limiter import Limiter
from tocsin_api.stats import Stats
from tocsin_api.verifier import Verifier
from tocsin_common.sealing import Sealer
from tocsin_common.webhook import Webhook


class Resources(NamedTuple):
    """Opened when the process starts, closed in reverse when it ends."""

    pool: asyncpg.Pool
    hints: Hints
    key_ring: KeyRing
    limiter: Limiter
    sealer: Sealer
    parse_webhook: Callable[[str], Webhook]
    known_schema_revisions: tuple[str, ...]
    """Of this release, the newest first."""
    give_up_after: timedelta
    """So old an execution is given up."""
    retention: timedelta
    """What is older may be removed at any time."""
    min_interval_s: int
    """What a schedule that comes more often is refused by."""
    verifier: Verifier
    test_wait_s: float
    """So long a request waits for its execution."""
    waits: asyncio.Semaphore
    """Of requests that wait so."""
    stopping: asyncio.Event
    """Set where the process is to end: nobody waits any longer."""
    stats: Cached[Stats]


Injected: TypeAlias = NamedDependency[SkipValidation[Resources]]
