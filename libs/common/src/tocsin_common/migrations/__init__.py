"""ADAPTER. Alembic's migrations of Tocsin's tables, and the way to run them."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config

LOCK_TIMEOUT_S = 5.0
"""How long a migration waits for a table that another transaction keeps. All that comes later waits behind it, and
what Tocsin asks gives up after 30 s: a backup that runs for an hour would stop everything for as long."""


def upgrade(database_url: str, revision: str = "head", *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
    """Bring the database up to `revision`. Several processes may do so at a time: they take turns.

    UnavailableError where a table is not free within `lock_timeout_s`: then nothing was changed.
    """
    command.upgrade(_config(database_url, lock_timeout_s), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Bring the database down to `revision`; `base` leaves it empty."""
    command.downgrade(_config(database_url), revision)


async def upgrade_async(database_url: str) -> None:
    """`upgrade` for callers with a running event loop."""
    await asyncio.to_thread(upgrade, database_url)


def _config(database_url: str, lock_timeout_s: float = LOCK_TIMEOUT_S) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["database_url"] = database_url
    config.attributes["lock_timeout_s"] = lock_timeout_s
    return config
