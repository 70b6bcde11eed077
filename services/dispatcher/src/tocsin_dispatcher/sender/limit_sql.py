"""The sender's SQL about limits: of destinations, and of an address. Named for what it answers or does.

Each statement that takes row locks takes them in key order and commits by itself. Where it locks rows of several
tables, the order is that of `sql`.
"""

# --- Room at destinations -----------------------------------------------------------------------------------

# $2: so many failures in a row open the breaker. $3: how long windows are that are not known.
KNOWN_DESTINATIONS = """
SELECT destination, bucket, window_limit, window_s, failures,
       blocked_until > now OR failures >= $2 AS is_blocked,
       slots_from + make_interval(secs => COALESCE(window_s, $3)) > now AS is_in_use
FROM destinations, (SELECT clock_timestamp() AS now) AS clock
WHERE destination = ANY($1::text[])
"""

MEET_DESTINATIONS = """
INSERT INTO destinations (destination) SELECT unnest($1::text[]) ORDER BY 1 ON CONFLICT DO NOTHING
"""

# A job asks for a slot where its destination is blocked, where this sender has no room (saturated), or where the
# destination's limit counts and it has none yet. Slots are given window by window: `requests` of them begin
# together, the next ones a window later. Where no limit is known a window is one POST's time, for one POST. A
# window that is over, or would be by the end of the block, begins anew. Who gets a slot that has come already goes
# on at once; the others wait, with their slots; where the limit is a guess they wait for the next window only, and
# then ask again: by then the destination may have told its own. Where the breaker is open ($7 failures) and its
# time is up, the first job goes on as the probe, and the block lasts until that one may be over ($8).
PARK = """
WITH jobs AS (
    SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::boolean[], $5::integer[], $6::float8[],
                         $9::boolean[], $10::boolean[])
        AS j (scheduled_for, task_id, destination, is_saturated, requests, window_s, is_counted, is_guess)
), limits AS MATERIALIZED (
    SELECT destination, blocked_until, slots_from, slots_used, clock_timestamp() AS now,
           failures >= $7 AND blocked_until <= clock_timestamp() AS is_probed
    FROM destinations WHERE destination IN (SELECT destination FROM jobs)
    ORDER BY destination FOR UPDATE
), startable AS MATERIALIZED (
    SELECT e.scheduled_for, e.task_id, e.has_slot, j.destination, j.is_saturated, j.is_counted, j.is_guess,
           j.requests, make_interval(secs => j.window_s) AS length, COALESCE(l.is_probed, false) AS is_probed,
           COALESCE(l.now, clock_timestamp()) AS now, COALESCE(l.slots_from, '-infinity') AS slots_from,
           COALESCE(l.slots_used, 0) AS slots_used,
           GREATEST(l.now, l.blocked_until,
                    CASE WHEN l.is_probed THEN l.now + make_interval(secs => $8) END) AS free_at
    FROM executions e JOIN jobs j USING (scheduled_for, task_id)
        LEFT JOIN limits l ON l.destination = j.destination
    WHERE e.state IN ('due', 'waiting') AND e.next_at <= clock_timestamp()
    ORDER BY e.scheduled_for, e.task_id FOR UPDATE OF e
), ranked AS (
    SELECT *, is_probed AND NOT is_saturated AND row_number() OVER (
               PARTITION BY destination ORDER BY is_saturated, scheduled_for, task_id) = 1 AS is_probe
    FROM startable
), asking AS (
    SELECT *, row_number() OVER (PARTITION BY destination ORDER BY scheduled_for, task_id) - 1 AS place,
           count(*) OVER (PARTITION BY destination) AS asked,
           slots_from + length <= COALESCE(free_at, now) AS is_new
    FROM ranked
    WHERE NOT is_probe AND (free_at > now OR is_saturated OR (is_counted AND NOT has_slot))
), placed AS (
    SELECT *, CASE WHEN is_guess THEN requests ELSE 2 ^ 30 END::integer AS last,
           CASE WHEN is_new THEN COALESCE(free_at, now) ELSE slots_from END AS begins_at,
           CASE WHEN NOT is_new THEN LEAST(slots_used, requests)
                WHEN is_counted OR free_at > now THEN 0 ELSE requests END AS used
    FROM asking
), slotted AS (
    SELECT *, GREATEST(begins_at + length * (LEAST(used + place, last) / requests),
                       CASE WHEN is_saturated THEN now + length / requests END) AS slot_at
    FROM placed
), queues AS (
    SELECT destination, max(begins_at + length * ((LEAST(used + asked, last) - 1) / requests)) AS slots_from,
           max((LEAST(used + asked, last) - 1) % requests + 1) AS slots_used
    FROM placed GROUP BY destination
), kept AS (
    UPDATE destinations d
    SET slots_from = COALESCE(q.slots_from, d.slots_from), slots_used = COALESCE(q.slots_used, d.slots_used),
        blocked_until = COALESCE(p.free_at, d.blocked_until), updated_at = clock_timestamp()
    FROM limits l LEFT JOIN queues q USING (destination)
        LEFT JOIN ranked p ON p.destination = l.destination AND p.is_probe
    WHERE d.destination = l.destination AND (q.destination IS NOT NULL OR p.destination IS NOT NULL)
)
UPDATE executions e
SET state = 'waiting', sweeps = 0, has_slot = NOT s.is_guess, next_at = LEAST(e.give_up_at, s.slot_at)
FROM slotted s
WHERE e.scheduled_for = s.scheduled_for AND e.task_id = s.task_id AND s.slot_at > s.now
RETURNING e.scheduled_for, e.task_id, e.destination,
          EXTRACT(EPOCH FROM e.next_at - clock_timestamp())::float8 AS wait_s
"""

# --- What destinations said ---------------------------------------------------------------------------------

# Figures of another bucket say nothing any more, so they go where the new ones are not known yet.
LEARN_WINDOW = """
INSERT INTO destinations AS d (destination, bucket, window_limit, window_s) VALUES ($1, $2, $3, $4)
ON CONFLICT (destination) DO UPDATE
SET bucket = excluded.bucket, window_limit = excluded.window_limit, window_s = excluded.window_s,
    updated_at = clock_timestamp()
"""

# The receiver says that its window has no room left and ends in $2: ours does not say otherwise. A queue that lies
# ahead stays where it is.
CLOSE_WINDOW = """
UPDATE destinations
SET slots_used = $3, slots_from = clock_timestamp() + make_interval(secs => $2 - $4),
    updated_at = clock_timestamp()
WHERE destination = $1 AND slots_from <= clock_timestamp()
  AND (slots_used < $3 OR slots_from + make_interval(secs => $5) < clock_timestamp() + make_interval(secs => $2))
"""

BLOCK_DESTINATION = """
INSERT INTO destinations AS d (destination, blocked_until)
VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (destination) DO UPDATE
SET blocked_until = GREATEST(d.blocked_until, excluded.blocked_until), updated_at = clock_timestamp()
"""

# Those that were in flight together fail together: once the breaker is open, only what began after the last
# failure counts, and that is the probe.
COUNT_FAILURE = """
INSERT INTO destinations AS d (destination, failures, failed_at) VALUES ($1, 1, clock_timestamp())
ON CONFLICT (destination) DO UPDATE
SET failures = d.failures + 1, failed_at = clock_timestamp(), updated_at = clock_timestamp(),
    blocked_until = CASE WHEN d.failures + 1 < $3 THEN d.blocked_until ELSE GREATEST(d.blocked_until,
        clock_timestamp() + make_interval(secs => LEAST($4 * 2.0 ^ LEAST(d.failures + 1 - $3, 30), $5))) END
WHERE d.failures < $3 OR d.failed_at <= $2
RETURNING failures >= $3 AS is_open,
          EXTRACT(EPOCH FROM GREATEST(blocked_until, clock_timestamp()) - clock_timestamp())::float8 AS blocked_s
"""

FORGET_FAILURES = """
UPDATE destinations
SET failures = 0, blocked_until = CASE WHEN failures >= $2 THEN clock_timestamp() ELSE blocked_until END,
    updated_at = clock_timestamp()
WHERE destination = $1 AND failures > 0
RETURNING true
"""

# --- What holds for an address ------------------------------------------------------------------------------

MEET_EGRESS_GROUP = "INSERT INTO egress_groups (egress_group) VALUES ($1) ON CONFLICT DO NOTHING"

# For each job that may begin now whether a slot is kept for it, and the group as it is: nulls where nobody has met
# it. What is not due yet, as when it came back from a tier a moment early, would use up room and not begin.
EGRESS_GROUP = """
SELECT e.scheduled_for, e.task_id, e.has_slot, clock_timestamp() AS now, g.version,
       g.window_from, g.window_used, g.next_slot_at, g.blocked_until, g.invalid_from, g.invalid
FROM executions e JOIN unnest($2::timestamptz[], $3::uuid[]) AS j (scheduled_for, task_id)
        USING (scheduled_for, task_id)
    LEFT JOIN egress_groups g ON g.egress_group = $1
WHERE e.state IN ('due', 'waiting', 'running') AND e.next_at <= clock_timestamp()
"""

# Nothing where another sender was faster: then what was decided holds no more.
KEEP_EGRESS_GROUP = """
UPDATE egress_groups SET window_from = $3, window_used = $4, next_slot_at = $5, version = version + 1
WHERE egress_group = $1 AND version = $2
RETURNING true
"""

POSTPONE = """
WITH jobs AS (
    SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::float8[]) AS j (scheduled_for, task_id, wait_s)
), locked AS (
    SELECT e.scheduled_for, e.task_id, j.wait_s FROM executions e JOIN jobs j USING (scheduled_for, task_id)
    WHERE e.state IN ('due', 'waiting') AND e.next_at <= clock_timestamp()
    ORDER BY e.scheduled_for, e.task_id FOR UPDATE OF e
)
UPDATE executions e
SET state = 'waiting', sweeps = 0, has_slot = true,
    next_at = LEAST(e.give_up_at, clock_timestamp() + make_interval(secs => l.wait_s))
FROM locked l WHERE e.scheduled_for = l.scheduled_for AND e.task_id = l.task_id
RETURNING e.scheduled_for, e.task_id, e.destination,
          EXTRACT(EPOCH FROM e.next_at - clock_timestamp())::float8 AS wait_s
"""

COUNT_INVALID = """
UPDATE egress_groups
SET invalid = CASE WHEN invalid_from + $2::interval <= clock_timestamp() THEN 1 ELSE invalid + 1 END,
    invalid_from = CASE WHEN invalid_from + $2::interval <= clock_timestamp() THEN clock_timestamp()
                        ELSE invalid_from END,
    version = version + 1
WHERE egress_group = $1
RETURNING invalid
"""

BLOCK_EGRESS = """
UPDATE egress_groups
SET blocked_until = GREATEST(blocked_until, clock_timestamp() + make_interval(secs => $2)), version = version + 1
WHERE egress_group = $1
"""
