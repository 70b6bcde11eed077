"""The database notes what must not happen, planted one at a time."""

import asyncpg
import pytest

from faults.matrix.attempts import Loss
from faults.matrix.notes import Notes

ONE = """
INSERT INTO executions (scheduled_for, task_id, destination, next_at, give_up_at, state)
VALUES ('2030-01-01', gen_random_uuid(), 'd', now(), now(), 'failed')
"""
PARTITION = "CREATE TABLE a_day PARTITION OF executions FOR VALUES FROM ('2030-01-01') TO ('2030-01-02')"
LOG_PARTITION = "CREATE TABLE a_days_logs PARTITION OF task_logs FOR VALUES FROM ('2030-01-01') TO ('2030-01-02')"
EARLIER = "UPDATE scheduler_lease SET watermark = watermark - interval '1 us'"
CLAIMED = """
INSERT INTO executions (scheduled_for, task_id, destination, next_at, give_up_at, state, seq)
VALUES ('2030-01-01', gen_random_uuid(), 'd', now(), now(), 'running', 3)
"""
HELD = "UPDATE executions SET next_at = clock_timestamp() + interval '10 s' WHERE state = 'running';"
TAKEN_OVER = "UPDATE executions SET seq = seq + 1 WHERE state = 'running'"
PUT_OFF = "UPDATE executions SET state = 'waiting', lost_claims = lost_claims + 1 WHERE state = 'running'"
GIVEN_BACK = "UPDATE executions SET state = 'waiting' WHERE state = 'running'"
RECORDED = """
INSERT INTO task_logs (scheduled_for, task_id, seq, execution_time, status, outcome, retry_count, duration_ms,
                       message)
SELECT scheduled_for, task_id, seq, now(), 'SUCCESS', 'succeeded', 0, 1, ''
FROM executions WHERE state = 'running';
"""
LED_BY_ANOTHER = "SET application_name = 'a stranger'; UPDATE scheduler_lease SET holder = 'the leader';"


@pytest.fixture
async def notes(database: asyncpg.Connection) -> Notes:
    """With an execution that has failed, and one whose claim has run out."""
    await database.execute(PARTITION)
    await database.execute(LOG_PARTITION)
    await database.execute(ONE)
    await database.execute(CLAIMED)
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
        ("DELETE FROM scheduler_lease", "I5"),
        ("TRUNCATE scheduler_lease", "I5"),
        (HELD + TAKEN_OVER, "I2"),
        (HELD + PUT_OFF, "I2"),
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
        TAKEN_OVER,
        PUT_OFF,
        HELD + GIVEN_BACK,
    ],
)
async def test_it_notes_nothing_of_what_may_be(notes: Notes, database: asyncpg.Connection, change: str):
    await database.execute(change)

    assert await notes.problems() == []


@pytest.mark.parametrize(
    ("change", "was_recorded"), [(TAKEN_OVER, False), (PUT_OFF, False), (RECORDED + TAKEN_OVER, True)]
)
async def test_it_keeps_which_claims_were_lost(
    notes: Notes, database: asyncpg.Connection, change: str, was_recorded: bool
):
    held_until = await database.fetchval("SELECT next_at FROM executions WHERE state = 'running'")

    await database.execute(change)

    [(_, loss)] = await notes.losses()
    assert loss == Loss(3, held_until, was_recorded)
