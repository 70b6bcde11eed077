"""ADAPTER. The API's statement about the schema: whether the database was migrated, and how far."""

import asyncpg

from tocsin_api.postgresql import acquire


async def find_schema_revision(pool: asyncpg.Pool) -> str | None:
    """The migration that the database is at; None where it was never migrated."""
    async with acquire(pool) as connection:
        if await connection.fetchval("SELECT to_regclass('alembic_version') IS NULL"):
            return None
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        return revision
