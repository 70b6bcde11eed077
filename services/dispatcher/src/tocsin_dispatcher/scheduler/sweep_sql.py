"""The scheduler's SQL about executions and tasks that are overdue, named for what it answers or does.

Each statement that takes row locks takes them in key order and commits by itself, so two processes never wait
for each other in a circle and a frozen one blocks nobody.
"""

# SKIP LOCKED: a sweep never waits for a sender, nor a sender in a circle for a sweep.
GIVE_UP = """
WITH hopeless AS (
    SELECT scheduled_for, task_id FROM executions
    WHERE state IN ('due', 'waiting', 'running') AND next_at <= clock_timestamp()
      AND (give_up_at <= clock_timestamp() OR (state = 'running' AND lost_claims + 1 >= $3))
      AND EXISTS (SELECT FROM scheduler_lease WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp())
    ORDER BY next_at LIMIT $4
    FOR UPDATE SKIP LOCKED
)
UPDATE executions e
SET state = 'failed', claimed_by = NULL, finished_at = clock_timestamp(),
    reason = CASE WHEN give_up_at <= clock_timestamp() THEN 'given up: too old' ELSE 'given up: lost claims' END
FROM hopeless h WHERE e.scheduled_for = h.scheduled_for AND e.task_id = h.task_id
RETURNING e.scheduled_for, e.task_id, e.destination, e.reason, e.failures
"""

# $5: only claims that have expired and were not announced since. Their messages are acked, so none is on its way,
# but where the sender died before that; then it comes twice, which the claims see.
OVERDUE = """
WITH overdue AS (
    SELECT scheduled_for, task_id, state FROM executions
    WHERE state IN ('due', 'waiting', 'running') AND next_at <= clock_timestamp()
      AND next_at + CASE WHEN state = 'running' AND sweeps = 0 THEN interval '0'
                         ELSE $3::interval * 2 ^ sweeps END <= clock_timestamp()
      AND (NOT $5::boolean OR (state = 'running' AND sweeps = 0))
      AND EXISTS (SELECT FROM scheduler_lease WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp())
    ORDER BY next_at LIMIT $4
    FOR UPDATE SKIP LOCKED
)
UPDATE executions e SET sweeps = LEAST(e.sweeps + 1, 10)
FROM overdue o WHERE e.scheduled_for = o.scheduled_for AND e.task_id = o.task_id
RETURNING e.scheduled_for, e.task_id, e.destination, e.state
"""

# The api's own function makes the tasks INACTIVE. LATERAL with OFFSET 0: one look-up for each task whose instant
# has come, never a walk through the executions. What lies before $4 has no row any more, and gets none.
FINISH_ONCE = """
WITH ended AS (
    SELECT t.id, t.run_at,
           COALESCE('its one run ended: ' || e.state, 'its one run is older than what is kept') AS reason
    FROM tasks t LEFT JOIN LATERAL (
        SELECT state FROM executions WHERE scheduled_for = t.run_at AND task_id = t.id OFFSET 0
    ) AS e ON true
    WHERE t.status = 'ACTIVE' AND t.run_at <= clock_timestamp()
      AND (e.state NOT IN ('due', 'waiting', 'running') OR (e.state IS NULL AND t.run_at < $4::timestamptz))
      AND EXISTS (SELECT FROM scheduler_lease WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp())
    ORDER BY t.run_at LIMIT $3
)
SELECT finished.task_id
FROM (SELECT array_agg(id) AS ids, array_agg(run_at) AS run_ats,
             array_agg(reason) AS reasons FROM ended) AS all_of_them
CROSS JOIN LATERAL finish_tasks(ids, run_ats, reasons) AS finished (task_id)
"""
