"""ADAPTER. The API's statements about how long a list is: counted while that is cheap, then estimated."""

from typing import Any

import msgspec

from tocsin_api.pages import MAX_COUNTED, Total

OF_LIVING_TASKS = "EXISTS (SELECT FROM tasks AS t WHERE t.id = task_id AND t.status <> 'DELETED')"
"""What may be shown."""
OF_NO_DELETED_TASKS = "NOT EXISTS (SELECT FROM tasks AS t WHERE t.id = task_id AND t.status = 'DELETED')"
"""What is counted. Deleted tasks are few: to look up the task of each of many rows takes ten times as long. The
two differ by what a sender records of a task after all that was left of it is removed, if ever."""


async def find_total(connection: Any, rows: str, *arguments: object, but: str = "true") -> Total:
    """How many `rows` (FROM … WHERE …) there are that `but` holds for: up to MAX_COUNTED, then about.

    About is what PostgreSQL's planner expects, by what VACUUM and ANALYZE saw last; to ask costs no more than to
    plan a statement. `but` is left to the count: how many rows are of deleted tasks the planner cannot tell.
    """
    counted = await connection.fetchval(
        f"SELECT count(*) FROM (SELECT {rows} AND {but} LIMIT {MAX_COUNTED + 1}) AS first",  # noqa: S608 - from constants
        *arguments,
    )
    if counted <= MAX_COUNTED:
        return Total(counted)
    plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) SELECT {rows}", *arguments)
    return Total(max(counted, msgspec.json.decode(plan)[0]["Plan"]["Plan Rows"]), is_estimate=True)
