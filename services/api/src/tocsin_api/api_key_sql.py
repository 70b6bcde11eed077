"""ADAPTER. The API's statements about API keys. Only their digests are stored."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from tocsin_api.postgresql import Row, acquire

MAX_KEYS = 1000  # every API holds all of them in memory

_COLUMNS = "id, name, hint, scopes, created_at, expires_at, last_used_at"

# The database's clock judges, since it is the one that ends a key.
_ADD_KEY = f"""
WITH judged AS MATERIALIZED (
    SELECT moment, COALESCE($6::timestamptz <= moment, false) AS is_past,
           (SELECT count(*) FROM api_keys) >= $7 AS is_full
    FROM clock_timestamp() AS clock (moment)
), added AS (
    INSERT INTO api_keys (id, name, hint, scopes, key_hash, expires_at, created_at)
    SELECT $1, $2, $3, $4, $5, $6, moment FROM judged WHERE NOT is_past AND NOT is_full
    RETURNING {_COLUMNS}
)
SELECT judged.*, added.* FROM judged LEFT JOIN added ON true
"""  # noqa: S608 - the columns are a constant

_LIST_KEYS = f"SELECT {_COLUMNS} FROM api_keys ORDER BY created_at DESC, id LIMIT $1 OFFSET $2"  # noqa: S608 - as above

_DELETE_KEY = f"DELETE FROM api_keys WHERE id = $1 RETURNING {_COLUMNS}"  # noqa: S608 - as above

_VALID_KEYS = """
SELECT id, key_hash, scopes, EXTRACT(EPOCH FROM expires_at - clock_timestamp())::float8 AS seconds_left
FROM api_keys WHERE expires_at IS NULL OR expires_at > clock_timestamp()
"""

# Of several APIs that a key is used at, one writes.
_NOTE_USE = """
UPDATE api_keys SET last_used_at = clock_timestamp()
WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= clock_timestamp() - $2::interval)
"""


async def add_key(pool: asyncpg.Pool, key: Mapping[str, Any]) -> Row:
    """The new key, or why there is none: `is_past` (by `moment`), or `is_full`."""
    names = ("id", "name", "hint", "scopes", "key_hash", "expires_at")
    async with acquire(pool) as connection:
        return await connection.fetchrow(_ADD_KEY, *(key[name] for name in names), MAX_KEYS)


async def list_keys(pool: asyncpg.Pool, *, page: int, limit: int) -> tuple[list[Row], int]:
    """One page of the keys, the newest first, and how many there are in all."""
    async with acquire(pool) as connection:
        total = await connection.fetchval("SELECT count(*) FROM api_keys")
        return await connection.fetch(_LIST_KEYS, limit, (page - 1) * limit), total


async def delete_key(pool: asyncpg.Pool, key_id: UUID) -> Row | None:
    """The key as it was; None where there is none."""
    async with acquire(pool) as connection:
        return await connection.fetchrow(_DELETE_KEY, key_id)


async def valid_keys(pool: asyncpg.Pool) -> list[Row]:
    """All keys that have not ended, each with the seconds until it does."""
    async with acquire(pool) as connection:
        rows: list[Row] = await connection.fetch(_VALID_KEYS)
        return rows


async def note_use(pool: asyncpg.Pool, key_id: UUID, *, every: timedelta) -> None:
    """The key was used just now; written unless that was done less than `every` ago."""
    async with acquire(pool) as connection:
        await connection.execute(_NOTE_USE, key_id, every)
