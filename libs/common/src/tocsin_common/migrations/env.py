"""ADAPTER. Alembic's entry: one transaction on asyncpg, under a lock, so that several processes may migrate."""

import asyncio

import asyncpg
import sqlalchemy as sa
from alembic import context
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from tocsin_common import rights
from tocsin_common.database import plain_url
from tocsin_common.errors import UnavailableError
from tocsin_common.tables import metadata

LOCK_KEY = 0x746F6373696E  # "tocsin"
LOCK_NOT_AVAILABLE = "55P03"
PARTITIONS_LOCK_KEY = LOCK_KEY + 1  # of make_partitions and drop_partitions


def _run(connection: sa.Connection, lock_timeout_s: float) -> None:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        # From here on: another migration is waited for as long as it takes.
        connection.execute(
            sa.text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": f"{lock_timeout_s * 1000:.0f}ms"}
        )
        context.run_migrations()
        if context.get_context().get_current_revision() == context.get_head_revision():
            _grant(connection)


def _grant(connection: sa.Connection) -> None:
    """Give the services' users, where there are any, their rights: those too who came since the last time."""
    # Whoever else changes the row that describes a table meanwhile, as ATTACH does, would fail, or this would.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": PARTITIONS_LOCK_KEY})
    users = sa.text("SELECT rolname::text FROM pg_roles WHERE rolname = ANY(:names)")
    present = set(connection.scalars(users, {"names": list(rights.RIGHTS)}))
    schema = connection.scalar(sa.text("SELECT quote_ident(current_schema())"))
    for statement in rights.grants(present, [*metadata.tables, "alembic_version"], schema):
        connection.execute(sa.text(statement))


async def _migrate(database_url: str, lock_timeout_s: float) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        # asyncpg reads the URL, here as elsewhere: SQLAlchemy knows neither postgres:// nor sslmode.
        async_creator=lambda: asyncpg.connect(plain_url(database_url)),
        poolclass=sa.NullPool,
        hide_parameters=True,
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run, lock_timeout_s)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        raise UnavailableError(
            f"another transaction has kept a table from the migration for more than {lock_timeout_s:g} s. "
            "Nothing was changed: end that transaction, or wait for its end, and migrate again"
        ) from error
    finally:
        await engine.dispose()


attributes = context.config.attributes
asyncio.run(_migrate(attributes["database_url"], attributes["lock_timeout_s"]))
