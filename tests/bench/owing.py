"""ADAPTER. Tasks as the api would have written them, and due executions as the scheduler would have."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from bench.schedules import When
from tocsin_common import webhook
from tocsin_common.messages import Job
from tocsin_common.sealing import Sealer
from tocsin_dispatcher.scheduler.partitions import Partitions

PAYLOAD = '{"content": "' + "The bell is rung. " * 12 + '"}'

# What `wanted` says, as the api adds tasks: active, a revision each.
ADD_WANTED = """
, added AS (
    INSERT INTO tasks (id, name, schedule, timezone, run_at, webhook_url_sealed, webhook_url_hash,
                       webhook_url_masked, destination, payload, max_retry, status, revision, effective_from,
                       created_at, updated_at)
    SELECT id, name, schedule, timezone, run_at, sealed, hash, masked, destination, payload, 3, 'ACTIVE', 1, now(),
           now(), now()
    FROM wanted
    ORDER BY id
    RETURNING *
)
INSERT INTO task_revisions (task_id, revision, effective_from, status, schedule, timezone, run_at, destination)
SELECT id, revision, effective_from, status, schedule, timezone, run_at, destination FROM added
"""

ADD_TASKS = f"""
WITH wanted AS (
    SELECT id, 'a task' AS name, schedule, timezone, run_at, sealed, hash, masked, destination,
           $9::json AS payload
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::bytea[], $6::bytea[], $7::text[],
                $8::text[]) AS t (id, schedule, timezone, run_at, sealed, hash, masked, destination)
){ADD_WANTED}"""  # noqa: S608 - constants

ADD_EXECUTIONS = """
INSERT INTO executions (scheduled_for, task_id, destination, next_at, give_up_at)
SELECT scheduled_for, task_id, destination, scheduled_for, clock_timestamp() + interval '1 day'
FROM unnest($1::timestamptz[], $2::uuid[], $3::text[]) AS j (scheduled_for, task_id, destination)
ORDER BY 1, 2
"""


class Bell(NamedTuple):
    """What a bench decides of a task."""

    url: str
    when: When


class Task(NamedTuple):
    """A task that is there."""

    id: UUID
    destination: str


async def write_tasks(
    database: asyncpg.Connection, sealer: Sealer, bells: Sequence[Bell], *, payload: str = PAYLOAD, first: int = 0
) -> list[Task]:
    """Active tasks with sealed URLs; their ids rise from `first`, as the api's do."""
    hooks = {bell.url: webhook.parse(bell.url, allow_local=True) for bell in bells}
    hashes = {url: sealer.hash(url) for url in hooks}
    tasks = [Task(UUID(int=n), hooks[bell.url].destination) for n, bell in enumerate(bells, first)]
    rows = [
        (
            task.id,
            *bell.when,
            sealer.seal(bell.url, context=task.id.bytes),
            hashes[bell.url],
            hooks[bell.url].masked,
            task.destination,
        )
        for task, bell in zip(tasks, bells, strict=True)
    ]
    await database.execute(ADD_TASKS, *map(list, zip(*rows, strict=True)), payload)
    return tasks


async def write_due(pool: asyncpg.Pool, tasks: Sequence[Task], instant: datetime) -> list[Job]:
    """An execution of each task, due at `instant` and not announced."""
    await Partitions(pool).cover({instant.date()})
    jobs = [Job(task.id, instant, task.destination) for task in tasks]
    columns = zip(*((job.scheduled_for, job.task_id, job.destination) for job in jobs), strict=True)
    await pool.execute(ADD_EXECUTIONS, *map(list, columns))
    return jobs
