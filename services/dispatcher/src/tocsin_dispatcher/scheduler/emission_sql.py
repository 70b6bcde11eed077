"""The scheduler's SQL about what it emits, named for what it does.

Each statement that takes row locks takes them in key order and commits by itself, so two processes never wait
for each other in a circle and a frozen one blocks nobody.
"""

from tocsin_dispatcher.scheduler.lease_sql import DATABASE_ID

# No lease, no row; nor while all is paused. The watermark and the feed's position move in the statement that
# commits what is below them.
# The lease holds in the database that it was taken in: where a copy answers that lacks the last commits, as after
# a failover, its lease may still seem to be ours, and the watermark would pass over what the copy lacks.
EMIT = f"""
WITH lease AS (
    UPDATE scheduler_lease
    SET watermark = CASE WHEN is_paused THEN watermark ELSE GREATEST(watermark, $3::timestamptz) END,
        feed_snapshot = CASE WHEN is_paused OR $4::xid8 < feed_xid THEN feed_snapshot ELSE $12::text END,
        feed_xid = CASE WHEN is_paused THEN feed_xid ELSE GREATEST(feed_xid, $4::xid8) END
    FROM (SELECT paused_at IS NOT NULL AS is_paused FROM scheduler_pause) AS pause
    WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp() AND {DATABASE_ID} = $11::text
    RETURNING is_paused
), emitted AS (
    INSERT INTO executions (scheduled_for, task_id, destination, kind, jitter_ms, next_at, give_up_at)
    SELECT scheduled_for, task_id, destination, kind, jitter_ms,
           scheduled_for + jitter_ms * interval '1 millisecond', clock_timestamp() + $10::interval
    FROM lease, unnest($5::timestamptz[], $6::uuid[], $7::text[], $8::text[], $9::integer[])
        AS j (scheduled_for, task_id, destination, kind, jitter_ms)
    WHERE NOT is_paused
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING
    RETURNING true
)
SELECT EXISTS (SELECT FROM lease) AS held, (SELECT count(*) FROM emitted) AS emitted, clock_timestamp() AS now,
       (SELECT is_paused FROM lease) AS is_paused
"""  # noqa: S608 - built from a constant above

# Once all that a heap loaded from another database's position made owed was emitted.
ADOPT_POSITION = f"""
UPDATE scheduler_lease SET feed_xid = $3::xid8, feed_snapshot = $4, database_id = $5
WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp() AND {DATABASE_ID} = $5::text
RETURNING true
"""  # noqa: S608 - built from a constant above

# The decision on a gap is frozen before the first row of it is written, so that a crash changes nothing of it.
FREEZE_GAP = f"""
UPDATE scheduler_lease SET gap_until = $3, gap_snapshot = $4
WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp() AND {DATABASE_ID} = $5::text
RETURNING true
"""  # noqa: S608 - built from a constant above

# The position moves along where nothing is left that changes owe.
CLOSE_GAP = f"""
UPDATE scheduler_lease
SET gap_until = NULL, gap_snapshot = NULL, watermark = GREATEST(watermark, gap_until),
    feed_snapshot = CASE WHEN $4::xid8 < feed_xid THEN feed_snapshot ELSE $5::text END,
    feed_xid = GREATEST(feed_xid, $4::xid8)
WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp() AND {DATABASE_ID} = $3::text
RETURNING true
"""  # noqa: S608 - built from a constant above

# A leader that died in the middle left rows: what it emitted is not missed, and what it counted as missed is not
# counted again. Where the newest was emitted, by what the task was before, the row stands right before it.
# The lease is locked until the end: where this takes its time, nobody else may lead and decide anew without seeing
# what it leaves.
RECORD_MISSED = f"""
WITH lease AS (
    SELECT FROM scheduler_lease
    WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp() AND {DATABASE_ID} = $9::text FOR UPDATE
)
INSERT INTO executions (scheduled_for, task_id, kind, state, destination, next_at, give_up_at, finished_at,
                        missed_from, missed_count)
SELECT place.newest, m.task_id, m.kind, 'missed', m.destination, m.newest, m.newest, clock_timestamp(),
       COALESCE(known.accounted_until + interval '1 microsecond', m.oldest), m.count - known.count
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::integer[])
    AS m (task_id, destination, kind, newest, oldest, count)
CROSS JOIN LATERAL (
    SELECT max(scheduled_for) FILTER (WHERE state = 'missed' OR scheduled_for = m.oldest) AS accounted_until,
           CASE WHEN bool_or(state = 'missed' AND missed_count IS NULL) THEN NULL
                ELSE COALESCE(sum(CASE WHEN state = 'missed' THEN missed_count ELSE 1 END), 0) END AS count
    FROM executions
    WHERE task_id = m.task_id AND kind = m.kind AND scheduled_for BETWEEN m.oldest AND m.newest
) AS known
CROSS JOIN LATERAL (
    SELECT CASE WHEN EXISTS (
               SELECT FROM executions
               WHERE scheduled_for = m.newest AND task_id = m.task_id AND state <> 'missed'
           ) THEN m.newest - interval '1 microsecond' ELSE m.newest END AS newest
) AS place
WHERE EXISTS (SELECT FROM lease)
  AND (m.count - known.count > 0) IS NOT FALSE
ORDER BY 1, 2
ON CONFLICT DO NOTHING
RETURNING true
"""  # noqa: S608 - built from a constant above
