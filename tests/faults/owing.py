"""SHELL. Tasks as the api would have written them, thousands in one statement."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID, uuid4

import asyncpg

from tocsin_common import webhook
from tocsin_common.sealing import Sealer

ADD_TASKS = """
WITH added AS (
    INSERT INTO tasks (id, name, schedule, webhook_url_sealed, webhook_url_hash, webhook_url_masked, destination,
                       payload, max_retry, status, revision, effective_from, created_at, updated_at, catch_up)
    SELECT id, 'a task', schedule, sealed, $5, $8, $6, json_build_object('content', id), 3, 'ACTIVE', 1,
           $7, $7, $7, catch_up
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) AS t (id, schedule, catch_up, sealed)
    RETURNING *
)
INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, destination, catch_up)
SELECT id, revision, effective_from, status, schedule, timezone, destination, catch_up FROM added
"""

Database: TypeAlias = asyncpg.Pool | asyncpg.Connection


class OwingTask(NamedTuple):
    """What a test decides of a task."""

    schedule: str
    catch_up: str = "latest"


async def write_tasks(
    database: Database, sealer: Sealer, url: str, tasks: Sequence[OwingTask], effective_from: datetime
) -> list[UUID]:
    """Active tasks that post to `url`, each its own id as `content`; returns their ids, in order."""
    ids = [uuid4() for _ in tasks]
    parsed = webhook.parse(url, allowed_hosts=(), allow_local=True)
    await database.execute(
        ADD_TASKS,
        ids,
        [task.schedule for task in tasks],
        [task.catch_up for task in tasks],
        [sealer.seal(url, context=task_id.bytes) for task_id in ids],
        sealer.hash(url),
        parsed.destination,
        effective_from,
        parsed.masked,
    )
    return ids
