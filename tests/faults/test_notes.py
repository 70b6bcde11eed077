"""The database notes what must not happen, planted one at a time."""

import asyncpg
import pytest

from faults.matrix.notes import Notes

ONE = """
INSERT INTO executions (scheduled_for, task_id, destination, next_at, give_up_at, state)
VALUES ('2030-01-01', gen_random_uuid(), 'd', now(), now(), 'failed')
"""
PARTITION = "CREATE TABLE a_day PARTITION OF executions FOR VALUES FROM ('2030-01-01') TO ('2030-01-02')"
EARLIER = "UPDATE scheduler_lease SET watermark = watermark - interval '1 us'"
LED_BY_ANOTHER = "SET application_name = 'a stranger'; UPDATE scheduler_lease SET holder = 'the leader';"


@pytest.fixture
async def notes(database: asyncpg.Connection) -> Notes:
    """With an execution that has failed."""
    await database.execute(PARTITION)
    await database.execute(ONE)
    notes = Notes(database)
    await notes.install()
    return notes


@pytest.mark.parametrize(
    ("mistake", "invariant"),
    [
        (EARLIER, "I5"),
        ("UPDATE scheduler_lease SET epoch = epoch - 1", "I5"),
        (LED_BY_ANOTHER + ONE, "I5"),
        ("UPDATE executions SET state = 'expired'", "I1"),
        ("UPDATE executions SET state = 'waiting'", "I1"),
    ],
)
async def test_it_notes_what_must_not_be(notes: Notes, database: asyncpg.Connection, mistake: str, invariant: str):
    await database.execute(mistake)

    assert [problem.partition(":")[0] for problem in await notes.problems()] == [invariant]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE scheduler_lease SET watermark = watermark + interval '1 us', epoch = epoch + 1",
        "UPDATE scheduler_lease SET holder = 'another'",
        "UPDATE executions SET state = 'succeeded'",  # the answer to an earlier POST became known
    ],
)
async def test_it_notes_nothing_of_what_may_be(notes: Notes, database: asyncpg.Connection, change: str):
    await database.execute(change)

    assert await notes.problems() == []
