"""ADAPTER. What Tocsin leaves behind in three months: tasks, their executions, and their logs, day by day."""

from datetime import UTC, datetime, timedelta

import asyncpg

from bench.asking import FAVOURED, NAMES, Size
from tocsin_dispatcher.scheduler.partitions import Partitions

DAY = timedelta(days=1)
AHEAD = 3  # days that the scheduler makes partitions for

# Names begin with one of NAMES, and end with the task's number. Of a hundred tasks 90 are active, 7 inactive, 2
# failed and one is deleted. Ids rise with created_at, as the api's do, over a year.
TASKS = """
INSERT INTO tasks (id, name, schedule, webhook_url_sealed, webhook_url_hash, webhook_url_masked, destination,
                   payload, max_retry, status, revision, effective_from, created_at, updated_at)
SELECT lpad(to_hex(i), 32, '0')::uuid,
       ($2::text[])[1 + i % cardinality($2)] || ' ' || i,
       '0 9 * * *', sha512(i::text::bytea) || sha512(i::text::bytea), sha256((i % 1000)::text::bytea),
       'https://discord.com/api/webhooks/' || 10 ^ 17::numeric + i % 1000 || '/…beef',
       'discord.com/' || 10 ^ 17::numeric + i % 1000, '{"content": "The bell is rung."}', 3,
       CASE WHEN i % 100 < 90 THEN 'ACTIVE' WHEN i % 100 < 97 THEN 'INACTIVE' WHEN i % 100 < 99 THEN 'FAILED'
            ELSE 'DELETED' END,
       1, moment, moment, moment
FROM (
    SELECT i, now() - interval '1 year' + i * interval '1 year' / $1 AS moment
    FROM generate_series(0, $1::bigint - 1) AS i
) AS numbered
ORDER BY i
"""

# Executions spread evenly from $1 to $2. Half of them are of the first tasks, half of all alike. Of a thousand ten
# have failed, each after four attempts, five were skipped, and 25 needed a second attempt.
EXECUTIONS = """
INSERT INTO executions (scheduled_for, task_id, state, reason, destination, next_at, give_up_at, seq, failures,
                        created_at, finished_at)
SELECT scheduled_for, task_id, state,
       CASE state WHEN 'failed' THEN 'retries exhausted: HTTP 500'
                  WHEN 'skipped' THEN 'an earlier execution was under way' END,
       'discord.com/' || 10 ^ 17::numeric + number % 1000, scheduled_for, scheduled_for + interval '1 day',
       attempts, attempts - (state = 'succeeded')::integer, scheduled_for + interval '5 ms',
       scheduled_for + attempts * interval '1.2 s'
FROM (
    SELECT *, lpad(to_hex(number), 32, '0')::uuid AS task_id,
           CASE WHEN chance < 10 THEN 'failed' WHEN chance < 15 THEN 'skipped' ELSE 'succeeded' END AS state,
           CASE WHEN chance < 10 THEN 4 WHEN chance < 15 THEN 0 WHEN chance < 40 THEN 2 ELSE 1 END AS attempts
    FROM (
        SELECT date_trunc('second', $1::timestamptz + i * ($2::timestamptz - $1) / $3::bigint) AS scheduled_for,
               floor(random() * CASE WHEN i % 2 = 0 THEN $4::bigint ELSE $4 / $5::bigint END)::bigint AS number,
               floor(random() * 1000) AS chance
        FROM generate_series(0, $3 - 1) AS i
    ) AS owed
) AS decided
ORDER BY scheduled_for, task_id
ON CONFLICT DO NOTHING
"""

# Each begins some milliseconds late, one in a hundred up to a second.
LOGS = """
INSERT INTO task_logs (scheduled_for, task_id, seq, execution_time, status, outcome, retry_count, http_status,
                       duration_ms, message, created_at)
SELECT scheduled_for, task_id, seq, moment,
       CASE WHEN seq < attempts THEN 'RETRYING' WHEN state = 'failed' THEN 'FAILED' ELSE 'SUCCESS' END,
       CASE WHEN seq < attempts OR state = 'failed' THEN 'retryable' ELSE 'succeeded' END, seq - 1,
       CASE WHEN seq < attempts OR state = 'failed' THEN 500 ELSE 204 END, 80,
       CASE WHEN seq < attempts OR state = 'failed' THEN 'HTTP 500: the receiver has broken down'
            ELSE 'HTTP 204' END,
       moment + interval '90 ms'
FROM (
    SELECT e.scheduled_for, e.task_id, e.state, e.seq AS attempts, a.seq,
           e.scheduled_for + (a.seq - 1) * interval '1.1 s' + interval '8 ms'
           + random() * CASE WHEN random() < 0.01 THEN interval '1 s' ELSE interval '30 ms' END AS moment
    FROM executions AS e CROSS JOIN LATERAL generate_series(1, e.seq) AS a (seq)
    WHERE e.scheduled_for >= $1 AND e.scheduled_for < $2
) AS attempted
ORDER BY moment
"""

# The newest have not ended.
OPEN = """
UPDATE executions SET state = 'waiting', reason = NULL, finished_at = NULL
WHERE (scheduled_for, task_id) IN (
    SELECT scheduled_for, task_id FROM executions WHERE scheduled_for >= $1
    ORDER BY scheduled_for DESC, task_id DESC LIMIT 200
)
"""

CLEAR = "TRUNCATE tasks, task_revisions, executions, task_logs, task_state"
TIMEOUT_S = 600


async def write(pool: asyncpg.Pool, size: Size, now: datetime) -> None:
    """Nothing but this history, with the statistics that autovacuum would leave."""
    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    await pool.execute(CLEAR)
    await pool.execute(TASKS, size.tasks, NAMES, timeout=TIMEOUT_S)
    await Partitions(pool).cover((today + n * DAY).date() for n in range(-size.days, AHEAD + 1))
    for n in range(-size.days, 1):
        start, end = today + n * DAY, min(today + n * DAY + DAY, now)
        executions = (size.executions_a_day, size.tasks, FAVOURED)
        await pool.execute(EXECUTIONS, start, end, *executions, timeout=TIMEOUT_S)
        await pool.execute(LOGS, start, end, timeout=TIMEOUT_S)
    await pool.execute(OPEN, today)
    await pool.execute("VACUUM (ANALYZE)", timeout=TIMEOUT_S)
