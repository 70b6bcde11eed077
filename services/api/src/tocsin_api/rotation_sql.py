"""ADAPTER. The API's statements about sealed webhook URLs whose key is to be another one."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from tocsin_api.postgresql import Row, acquire

# A page of all tasks by id, deleted ones too. Only those have a `sealed` that another key than the first sealed.
_LIST_SEALED = """
SELECT id, status = 'DELETED' AS is_deleted,
       CASE WHEN substring(webhook_url_sealed FROM 1 FOR octet_length($1::bytea)) <> $1
            THEN webhook_url_sealed END AS sealed
FROM tasks WHERE id > $2 ORDER BY id LIMIT $3
"""

# Where a client has sent another URL since the value was read, that one stays.
_SEAL_ANEW = """
WITH opened AS (
    SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[]) AS o (id, was, sealed, url_hash)
), locked AS (
    SELECT t.id, o.sealed, o.url_hash FROM tasks t JOIN opened o USING (id)
    WHERE t.webhook_url_sealed = o.was ORDER BY t.id FOR UPDATE OF t
), renewed AS (
    UPDATE tasks t SET webhook_url_sealed = l.sealed, webhook_url_hash = l.url_hash
    FROM locked l WHERE t.id = l.id RETURNING 1
)
SELECT count(*) FROM renewed
"""

_COUNT_SEALED_OTHERWISE = """
SELECT count(*) FROM tasks
WHERE status <> 'DELETED' AND substring(webhook_url_sealed FROM 1 FOR octet_length($1::bytea)) <> $1
"""


class Resealed(NamedTuple):
    """A task's URL, sealed with another key than before."""

    task_id: UUID
    was: bytes
    sealed: bytes
    url_hash: bytes


async def list_sealed(pool: asyncpg.Pool, key_id: bytes, *, after: UUID, limit: int) -> list[Row]:
    """The next tasks by id: `is_deleted`, and what another key than this one has `sealed`, else None."""
    async with acquire(pool) as connection:
        rows: list[Row] = await connection.fetch(_LIST_SEALED, key_id, after, limit)
        return rows


async def seal_anew(pool: asyncpg.Pool, urls: Sequence[Resealed]) -> int:
    """Replace what was sealed; how many of them were still the task's. No revision: nothing else changes."""
    async with acquire(pool) as connection:
        count: int = await connection.fetchval(_SEAL_ANEW, *map(list, zip(*urls, strict=True)))
        return count


async def count_sealed_otherwise(pool: asyncpg.Pool, key_id: bytes) -> int:
    """How many tasks have a URL that another key than this one sealed; deleted ones do not count."""
    async with acquire(pool) as connection:
        count: int = await connection.fetchval(_COUNT_SEALED_OTHERWISE, key_id)
        return count
