"""SHELL. The API migrates the database: by command, or before it serves.

Commands that do not need it do not import it: SQLAlchemy and alembic take a fifth of a second.
"""

import time

import asyncpg
import sqlalchemy.exc
import structlog

from tocsin_common import migrations
from tocsin_common.database import CONNECTION_ERRORS, RETRY_S
from tocsin_common.errors import UnavailableError

DATABASE_ERRORS = (OSError, asyncpg.PostgresError, sqlalchemy.exc.SQLAlchemyError)

_log = structlog.get_logger(__name__)


def upgrade(database_url: str, *, wait_s: float) -> None:
    """To the newest revision; a database that is away is waited for so long. UnavailableError."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return migrations.upgrade(database_url)
        except DATABASE_ERRORS as error:
            first_line = str(error).partition("\n")[0]  # SQLAlchemy goes on with the statement
            if not isinstance(error, CONNECTION_ERRORS) or time.monotonic() >= deadline:
                raise UnavailableError(f"PostgreSQL cannot be migrated: {first_line}") from error
            _log.warning("database.unavailable", error=first_line)
            time.sleep(RETRY_S)
