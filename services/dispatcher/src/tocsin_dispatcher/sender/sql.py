"""The SQL of the sender, but for what is about limits; named for what it answers or does.

Each statement that takes row locks takes them in key order and commits by itself, so two processes never wait
for each other in a circle and a frozen one blocks nobody. Where a statement locks rows of several tables, the
order is: egress_groups, destinations, executions, tasks, task_state.
"""

# --- Claim, classify ----------------------------------------------------------------------------------------

# Why an execution `l` of the task `t` is not to be granted, by the task as it is now; null where nothing is
# against it. A task that is gone or was deleted stops everything; one that is not active stops what its schedule
# owes. What was replayed does not expire, and goes on for a task that was INACTIVE by then, as a run by hand does.
# Where its task was stopped since, or is FAILED, it has failed again: so it can be replayed again.
_STOPPED = """
           CASE WHEN t.id IS NULL OR t.status = 'DELETED' THEN 'cancelled'
                WHEN t.status <> 'ACTIVE' AND l.kind IN ('schedule', 'reboot')
                     AND (t.status = 'FAILED' OR t.effective_from > COALESCE(l.replayed_at, '-infinity'))
                THEN CASE WHEN l.replayed_at IS NULL THEN 'cancelled' ELSE 'failed' END
                WHEN t.expires_after_s IS NOT NULL AND l.kind <> 'manual' AND l.replayed_at IS NULL
                     AND l.now > l.scheduled_for
                     + l.jitter_ms * interval '1 ms' + t.expires_after_s * interval '1 s' THEN 'expired' END
"""

# The gate: whatever else happened, an execution is granted to one sender at a time, and never early.
# Where a task's executions must not overlap, one that was never granted nor replayed is skipped while an earlier
# one is under way, or is about to be by this very claim. Where that one is skipped itself, what stands in its way
# is earlier still. Nothing asks for `earlier` where no task of the claim is like that, and then it costs nothing.
# Where the job was let through to another destination ($5) than its task has by now, nothing is granted: neither
# its limit nor its breaker was asked. It is to come again with the right one.
# OFFSET 0: or the state would be worked out anew wherever it is used.
CLAIM = f"""
WITH jobs AS (
    SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $5::text[]) AS j (scheduled_for, task_id, asked)
), locked AS (
    SELECT e.scheduled_for, e.task_id, e.kind, e.seq, e.jitter_ms, e.replayed_at, jobs.asked,
           e.state = 'running' AS was_lost, clock_timestamp() AS now
    FROM executions e JOIN jobs USING (scheduled_for, task_id)
    WHERE e.state IN ('due', 'waiting', 'running') AND e.next_at <= clock_timestamp()
    ORDER BY e.scheduled_for, e.task_id FOR UPDATE OF e
), apart AS (
    SELECT l.task_id, l.scheduled_for, {_STOPPED} AS stopped
    FROM locked l JOIN tasks t ON t.id = l.task_id AND t.overlap = 'skip'
), earlier AS MATERIALIZED (
    SELECT task_id, scheduled_for FROM apart WHERE stopped IS NULL
    UNION ALL
    SELECT f.task_id, f.scheduled_for
    FROM (SELECT array_agg(task_id) AS ids, array_agg(scheduled_for) AS instants FROM apart) a,
         first_under_way(a.ids, a.instants) f
), decided AS (
    SELECT l.scheduled_for, l.task_id, l.was_lost, t.webhook_url_sealed, t.webhook_url_hash, t.payload,
           t.max_retry, t.destination, COALESCE(t.status, 'DELETED') AS task_status, t.expires_after_s,
           COALESCE({_STOPPED}, CASE
               WHEN t.overlap = 'skip' AND l.seq = 0 AND l.kind IN ('schedule', 'reboot')
                    AND l.replayed_at IS NULL AND EXISTS (
                   SELECT FROM earlier o WHERE o.task_id = l.task_id AND o.scheduled_for < l.scheduled_for
               ) THEN 'skipped'
               WHEN t.destination <> l.asked THEN 'moved' ELSE 'running' END) AS state
    FROM locked l LEFT JOIN tasks t ON t.id = l.task_id
    OFFSET 0
)
UPDATE executions e
SET state = CASE WHEN d.state = 'moved' THEN 'waiting' ELSE d.state END,
    destination = COALESCE(d.destination, e.destination),
    reason = CASE WHEN d.state = 'cancelled' AND d.task_status = 'DELETED' THEN 'the task was deleted'
                  WHEN d.state IN ('cancelled', 'failed') THEN 'the task is ' || d.task_status
                  WHEN d.state = 'expired' THEN 'more than ' || d.expires_after_s || ' s late'
                  WHEN d.state = 'skipped' THEN 'an earlier execution was under way' END,
    seq = e.seq + CASE WHEN d.state = 'running' THEN 1 ELSE 0 END,
    lost_claims = e.lost_claims + CASE WHEN d.was_lost THEN 1 ELSE 0 END,
    next_at = clock_timestamp() + CASE WHEN d.state = 'moved' THEN interval '0' ELSE $3::interval END,
    claimed_by = CASE WHEN d.state = 'running' THEN $4 END,
    finished_at = CASE WHEN d.state NOT IN ('moved', 'running') THEN clock_timestamp() END,
    sweeps = 0, has_waited = false
FROM decided d
WHERE e.scheduled_for = d.scheduled_for AND e.task_id = d.task_id
RETURNING e.scheduled_for, e.task_id, d.state, e.seq, e.failures, e.jitter_ms, d.was_lost, d.webhook_url_sealed,
          d.webhook_url_hash, d.payload, d.max_retry, e.destination, clock_timestamp() AS now
"""  # noqa: S608 - built from a constant above

CLASSIFY = """
SELECT e.scheduled_for, e.task_id, e.state, EXTRACT(EPOCH FROM e.next_at - clock_timestamp())::float8 AS wait_s
FROM executions e
JOIN unnest($1::timestamptz[], $2::uuid[]) AS j (scheduled_for, task_id) USING (scheduled_for, task_id)
"""

# --- Ask for room, wait ---------------------------------------------------------------------------------------

# Of these executions those that may begin now. What is not due yet, as when it came back from a tier a moment
# early, would use up room and not begin.
READY = """
SELECT e.scheduled_for, e.task_id, e.has_waited, clock_timestamp() AS now
FROM executions e JOIN unnest($1::timestamptz[], $2::uuid[]) AS j (scheduled_for, task_id)
    USING (scheduled_for, task_id)
WHERE e.state IN ('due', 'waiting', 'running') AND e.next_at <= clock_timestamp()
"""

# Nobody waits for longer than until his execution is given up; but who is to be given up already does not ask
# again and again until then.
POSTPONE = """
WITH jobs AS (
    SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::float8[], $4::boolean[])
        AS j (scheduled_for, task_id, wait_s, has_waited)
), locked AS (
    SELECT e.scheduled_for, e.task_id, j.wait_s, j.has_waited, e.state = 'running' AS was_lost
    FROM executions e JOIN jobs j USING (scheduled_for, task_id)
    WHERE e.state IN ('due', 'waiting', 'running') AND e.next_at <= clock_timestamp()
    ORDER BY e.scheduled_for, e.task_id FOR UPDATE OF e
)
UPDATE executions e
SET state = 'waiting', sweeps = 0, has_waited = COALESCE(l.has_waited, e.has_waited), claimed_by = NULL,
    lost_claims = e.lost_claims + l.was_lost::integer,
    next_at = LEAST(GREATEST(e.give_up_at, clock_timestamp() + interval '1 s'),
                    clock_timestamp() + make_interval(secs => l.wait_s))
FROM locked l WHERE e.scheduled_for = l.scheduled_for AND e.task_id = l.task_id
RETURNING e.scheduled_for, e.task_id, l.was_lost,
          EXTRACT(EPOCH FROM e.next_at - clock_timestamp())::float8 AS wait_s
"""

# --- Give back, record, stop --------------------------------------------------------------------------------

GIVE_BACK = """
WITH given AS (
    SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::integer[]) AS g (scheduled_for, task_id, seq)
), locked AS (
    SELECT e.scheduled_for, e.task_id FROM executions e JOIN given g USING (scheduled_for, task_id)
    WHERE e.state = 'running' AND e.seq = g.seq
    ORDER BY e.scheduled_for, e.task_id FOR UPDATE OF e
)
UPDATE executions e
SET state = 'waiting', next_at = clock_timestamp() + make_interval(secs => $4), claimed_by = NULL
FROM locked l WHERE e.scheduled_for = l.scheduled_for AND e.task_id = l.task_id
"""

# The state is written by the holder of the claim alone; but a success, however late, beats all states but itself.
# The log row is written in any case. Failures in a row begin anew where a task was started again or its schedule
# was changed: what was owed before that does not count any more. Nor does what is no fault of the task's.
RECORD = """
WITH records AS (
    SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::smallint[],
                         $7::float8[], $8::text[], $9::text[], $10::smallint[], $11::smallint[], $12::boolean[],
                         $13::timestamptz[], $14::integer[], $15::text[], $16::boolean[])
        AS r (scheduled_for, task_id, seq, state, reason, failures, wait_s, outcome, log_status, retry_count,
              http_status, ambiguous, execution_time, duration_ms, message, is_ours)
), logged AS (
    INSERT INTO task_logs (scheduled_for, task_id, seq, execution_time, status, outcome, retry_count,
                           http_status, ambiguous, duration_ms, message)
    SELECT scheduled_for, task_id, seq, execution_time, log_status, outcome, retry_count,
           http_status, ambiguous, duration_ms, message
    FROM records ORDER BY scheduled_for, task_id, seq
    ON CONFLICT DO NOTHING
), locked AS (
    SELECT e.scheduled_for, e.task_id FROM executions e JOIN records r USING (scheduled_for, task_id)
    WHERE (e.state = 'running' AND e.seq = r.seq) OR (r.state = 'succeeded' AND e.state <> 'succeeded')
    ORDER BY e.scheduled_for, e.task_id FOR UPDATE OF e
), updated AS (
    UPDATE executions e
    SET state = r.state, reason = r.reason, failures = r.failures, claimed_by = NULL,
        next_at = LEAST(e.give_up_at, clock_timestamp() + make_interval(secs => r.wait_s)),
        finished_at = CASE WHEN r.state <> 'waiting' THEN clock_timestamp() END
    FROM locked l JOIN records r USING (scheduled_for, task_id)
    WHERE e.scheduled_for = l.scheduled_for AND e.task_id = l.task_id
    RETURNING e.scheduled_for, e.task_id, e.destination, e.state, r.outcome, r.is_ours
), counted AS (
    INSERT INTO task_state AS s (task_id, failures_in_row, last_outcome, last_scheduled_for)
    SELECT u.task_id, CASE WHEN bool_or(u.state = 'succeeded') THEN 0 ELSE count(*) END,
           (array_agg(u.outcome ORDER BY u.scheduled_for DESC))[1], max(u.scheduled_for)
    FROM updated u LEFT JOIN tasks t ON t.id = u.task_id
    WHERE u.state IN ('succeeded', 'failed') AND NOT u.is_ours
      AND u.scheduled_for >= COALESCE(t.effective_from, u.scheduled_for)
    GROUP BY u.task_id ORDER BY u.task_id
    ON CONFLICT (task_id) DO UPDATE
    SET failures_in_row = CASE WHEN excluded.failures_in_row = 0 THEN 0
                               WHEN s.last_scheduled_for < (SELECT effective_from FROM tasks WHERE id = s.task_id)
                               THEN excluded.failures_in_row
                               ELSE s.failures_in_row + excluded.failures_in_row END,
        last_outcome = excluded.last_outcome, last_scheduled_for = excluded.last_scheduled_for,
        updated_at = clock_timestamp()
    RETURNING s.task_id, s.failures_in_row
)
SELECT u.scheduled_for, u.task_id, u.state, COALESCE(c.failures_in_row, 0) AS failures_in_row
FROM updated u LEFT JOIN counted c USING (task_id)
"""

# The api's own function: the one way in which the dispatcher changes a task.
FAIL_TASKS = "SELECT fail_tasks($1::uuid[], $2::bytea[], $3::text[]) AS id"

# While keys are rotated, tasks with the same URL have hashes under several of them.
TASKS_WITH_URL = """
SELECT id, webhook_url_hash FROM tasks WHERE webhook_url_hash = ANY($1::bytea[]) AND status = 'ACTIVE'
"""
