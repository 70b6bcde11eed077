"""ADAPTER. The API's statements about idempotency keys: each is a part of the request's own transaction."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from tocsin_api.idempotency import RequestKey
from tocsin_api.postgresql import Row, acquire

KEY_LIFETIME = timedelta(hours=24)  # so long a request that is repeated with its key is the same one
KEY_KEPT = KEY_LIFETIME + timedelta(hours=1)  # no key goes while a request with it is being answered
MAX_OLD_KEYS = 100  # that one new key takes with it

# Whoever comes second waits here until the first has committed or failed, and then gets no row where the first
# has committed. An old key is free.
_TAKE_KEY = """
INSERT INTO idempotency_keys AS k (scope, key, request_hash, task_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (scope, key) DO UPDATE
SET request_hash = excluded.request_hash, task_id = excluded.task_id, scheduled_for = NULL,
    created_at = clock_timestamp()
WHERE k.created_at < clock_timestamp() - $5::interval
RETURNING true
"""

_FIND_KEY = "SELECT request_hash, task_id, scheduled_for FROM idempotency_keys WHERE scope = $1 AND key = $2"

_IS_TAKEN = """
SELECT EXISTS (
    SELECT FROM idempotency_keys WHERE scope = $1 AND key = $2 AND created_at >= clock_timestamp() - $3::interval
)
"""

_FORGET_KEY = "DELETE FROM idempotency_keys WHERE scope = $1 AND key = $2"

# Each new key takes some old ones with it. SKIP LOCKED: nobody waits for another's key.
_KEEP_KEY = """
WITH old AS (
    SELECT scope, key FROM idempotency_keys WHERE created_at < clock_timestamp() - $4::interval
    ORDER BY created_at LIMIT $5 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM idempotency_keys AS k USING old WHERE (k.scope, k.key) = (old.scope, old.key)
)
UPDATE idempotency_keys SET scheduled_for = $3 WHERE scope = $1 AND key = $2
"""


async def take_key(connection: Any, key: RequestKey, task_id: UUID) -> bool:
    """Whether the key was free, and is this request's now; it is not where it was used within KEY_LIFETIME."""
    return bool(await connection.fetchval(_TAKE_KEY, *key, task_id, KEY_LIFETIME))


async def find_key(connection: Any, key: RequestKey) -> Row:
    """What the key is taken by: the `request_hash`, and the task or execution that came of it."""
    return await connection.fetchrow(_FIND_KEY, key.scope, key.key)


async def is_taken(pool: asyncpg.Pool, key: RequestKey) -> bool:
    """Whether a request came with this key before; one that is being answered does not count yet."""
    async with acquire(pool) as connection:
        return bool(await connection.fetchval(_IS_TAKEN, key.scope, key.key, KEY_LIFETIME))


async def forget_key(connection: Any, key: RequestKey) -> None:
    """Nothing came of the request: its key is free again."""
    await connection.execute(_FORGET_KEY, key.scope, key.key)


async def keep_key(connection: Any, key: RequestKey, scheduled_for: datetime | None) -> None:
    """What came of the request is what the key stands for from now on: the task, or its execution of then."""
    await connection.execute(_KEEP_KEY, key.scope, key.key, scheduled_for, KEY_KEPT, MAX_OLD_KEYS)
