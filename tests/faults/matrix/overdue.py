"""ADAPTER. How long open executions stand overdue: their time has come, and nobody begins them or puts them off.

Whose receivers cannot be reached is put off, however often; what nobody knows of any more stands overdue.
"""

from typing import NamedTuple

from faults.matrix.scene import Scene

INSTALL = """
CREATE TABLE overdue (
    task_id uuid, scheduled_for timestamptz, was text, next_at timestamptz, became text, at timestamptz
);
CREATE FUNCTION note_overdue() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO overdue
    VALUES (OLD.task_id, OLD.scheduled_for, OLD.state, OLD.next_at, NEW.state, clock_timestamp());
    RETURN NULL;
END $$;
CREATE TRIGGER note_overdue AFTER UPDATE ON executions FOR EACH ROW
    WHEN (OLD.state IN ('due', 'waiting', 'running') AND clock_timestamp() - OLD.next_at > interval '1 s'
          AND (NEW.state, NEW.next_at) IS DISTINCT FROM (OLD.state, OLD.next_at))
    EXECUTE FUNCTION note_overdue();
"""
LONGEST = """
SELECT extract(epoch FROM at - next_at)::float8 AS seconds,
       format('%s of %s was %s, at its time %s, until it became %s at %s',
              task_id, scheduled_for, was, next_at, became, at) AS what
FROM overdue ORDER BY at - next_at DESC LIMIT 1
"""


class Overdue(NamedTuple):
    """The one that stood so for longest."""

    seconds: float
    what: str
    """In words."""


async def watch(scene: Scene) -> None:
    """From now on: a trigger sees each change."""
    await scene.database.execute(INSTALL)


async def longest(scene: Scene) -> Overdue | None:
    """Of those that were begun or put off more than a second late; None where there is none."""
    row = await scene.database.fetchrow(LONGEST)
    return None if row is None else Overdue(*row)
