"""SHELL. What the composition root built and the handlers work with."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple, TypeAlias

import asyncpg
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from tocsin_api.cached import Cached
from tocsin_api.hints import Hints
from tocsin_api.stats import Stats
from tocsin_common.sealing import Sealer
from tocsin_common.webhook import Webhook


class Resources(NamedTuple):
    """Opened when the process starts, closed in reverse when it ends."""

    pool: asyncpg.Pool
    hints: Hints
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
    stats: Cached[Stats]


Injected: TypeAlias = NamedDependency[SkipValidation[Resources]]
