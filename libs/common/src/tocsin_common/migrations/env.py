"""ADAPTER. Alembic's entry: one transaction on asyncpg, under a lock, so that several processes may migrate."""

import asyncio

import asyncpg
import sqlalchemy as sa
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

from tocsin_common.database import plain_url
from tocsin_common.tables import metadata

LOCK_KEY = 0x746F6373696E  # "tocsin"


def _run(connection: sa.Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        context.run_migrations()


async def _migrate(database_url: str) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        # asyncpg reads the URL, here as elsewhere: SQLAlchemy knows neither postgres:// nor sslmode.
        async_creator=lambda: asyncpg.connect(plain_url(database_url)),
        poolclass=sa.NullPool,
        hide_parameters=True,
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


asyncio.run(_migrate(context.config.attributes["database_url"]))
