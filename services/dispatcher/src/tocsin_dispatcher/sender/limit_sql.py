"""The sender's SQL about limits: of destinations, and of an address. Named for what it answers or does.

Each statement that takes row locks takes them in key order, in one table, and commits by itself. What is decided
outside is kept only if the row still has the version that the decision was made of.
"""

# --- Room at destinations -------------------------------------------------------------------------------------

# At least one row, for the time.
KNOWN_DESTINATIONS = """
SELECT d.*, c.now FROM (SELECT clock_timestamp() AS now) c LEFT JOIN destinations d ON d.destination = ANY($1)
"""

KEEP_ROOM = """
INSERT INTO destinations AS d (destination, window_from, window_used, next_slot_at, broken_until, version)
SELECT destination, window_from, window_used, next_slot_at, broken_until, version + 1
FROM unnest($1::text[], $2::timestamptz[], $3::integer[], $4::timestamptz[], $5::timestamptz[], $6::bigint[])
    AS n (destination, window_from, window_used, next_slot_at, broken_until, version)
ORDER BY destination
ON CONFLICT (destination) DO UPDATE
SET window_from = excluded.window_from, window_used = excluded.window_used, next_slot_at = excluded.next_slot_at,
    broken_until = excluded.broken_until, version = excluded.version, updated_at = clock_timestamp()
WHERE d.version = excluded.version - 1
RETURNING destination
"""

# Those that were let through and not posted after all: their room in that window is others', and so is the probe.
RETURN_ROOM = """
WITH returned AS (
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::integer[], $4::timestamptz[])
        AS r (destination, window_from, places, probed_until)
), locked AS (
    SELECT r.* FROM destinations d JOIN returned r USING (destination) ORDER BY destination FOR UPDATE OF d
)
UPDATE destinations d
SET window_used = CASE WHEN d.window_from = l.window_from THEN GREATEST(0, d.window_used - l.places)
                       ELSE d.window_used END,
    broken_until = CASE WHEN d.broken_until = l.probed_until THEN clock_timestamp() ELSE d.broken_until END,
    version = version + 1, updated_at = clock_timestamp()
FROM locked l WHERE d.destination = l.destination
"""

# --- What destinations said -----------------------------------------------------------------------------------

# Figures of another bucket say nothing any more, so they go where the new ones are not known yet; what another
# sender learned of the same bucket stays. Nor does the queue say anything that was reckoned with other figures.
LEARN_WINDOW = """
INSERT INTO destinations AS d (destination, bucket, window_limit, window_s, version) VALUES ($1, $2, $3, $4, 1)
ON CONFLICT (destination) DO UPDATE
SET bucket = excluded.bucket, window_limit = excluded.window_limit, window_s = excluded.window_s,
    next_slot_at = 'epoch', version = d.version + 1, updated_at = clock_timestamp()
WHERE excluded.window_limit IS NOT NULL OR d.bucket IS DISTINCT FROM excluded.bucket
"""

# The receiver says that its window has no room left and ends in $2: ours does not say otherwise, but for $5.
CLOSE_WINDOW = """
INSERT INTO destinations AS d (destination, window_used, window_from, version)
VALUES ($1, $3, clock_timestamp() + make_interval(secs => $2::float8 - $4::float8), 1)
ON CONFLICT (destination) DO UPDATE
SET window_used = excluded.window_used, window_from = excluded.window_from, version = d.version + 1,
    updated_at = clock_timestamp()
WHERE d.window_used < excluded.window_used OR d.window_from + make_interval(secs => $5) < excluded.window_from
"""

BLOCK_DESTINATION = """
INSERT INTO destinations AS d (destination, blocked_until, version)
VALUES ($1, clock_timestamp() + make_interval(secs => $2), 1)
ON CONFLICT (destination) DO UPDATE
SET blocked_until = GREATEST(d.blocked_until, excluded.blocked_until), version = d.version + 1,
    updated_at = clock_timestamp()
"""

# It refused and did not say for how long: $3, the first time, the second time in a row and so on. Those that were
# in flight together are refused together; what began after the last refusal shows that it was not long enough.
COUNT_REFUSAL = """
INSERT INTO destinations AS d (destination, guesses, guessed_at, blocked_until, version)
VALUES ($1, 1, clock_timestamp(), clock_timestamp() + make_interval(secs => ($3::float8[])[1]), 1)
ON CONFLICT (destination) DO UPDATE
SET guesses = d.guesses + 1, guessed_at = clock_timestamp(), version = d.version + 1,
    updated_at = clock_timestamp(),
    blocked_until = GREATEST(d.blocked_until, clock_timestamp() + make_interval(
        secs => ($3::float8[])[LEAST(d.guesses + 1, cardinality($3::float8[]))]))
WHERE d.guessed_at <= $2
"""

# Those that were in flight together fail together: once the breaker is open, only what began after the last
# failure counts, and that is the probe.
COUNT_FAILURE = """
INSERT INTO destinations AS d (destination, failures, failed_at, broken_until, version)
VALUES ($1, 1, clock_timestamp(),
        CASE WHEN $3 = 1 THEN clock_timestamp() + make_interval(secs => $4) ELSE 'epoch' END, 1)
ON CONFLICT (destination) DO UPDATE
SET failures = d.failures + 1, failed_at = clock_timestamp(), version = d.version + 1,
    updated_at = clock_timestamp(),
    broken_until = CASE WHEN d.failures + 1 < $3 THEN d.broken_until ELSE
        clock_timestamp() + make_interval(secs => LEAST($4 * 2.0 ^ LEAST(d.failures + 1 - $3, 30), $5)) END
WHERE d.failures < $3 OR d.failed_at <= $2
RETURNING failures >= $3 AS is_open,
          EXTRACT(EPOCH FROM GREATEST(broken_until, clock_timestamp()) - clock_timestamp())::float8 AS blocked_s
"""

# It answers. $2: and does not refuse without a word about how long.
FORGET_FAILURES = """
UPDATE destinations
SET failures = 0, broken_until = LEAST(broken_until, clock_timestamp()),
    guesses = CASE WHEN $2 THEN 0 ELSE guesses END, version = version + 1, updated_at = clock_timestamp()
WHERE destination = $1
"""

# --- What holds for an address --------------------------------------------------------------------------------

MEET_EGRESS_GROUP = "INSERT INTO egress_groups (egress_group) VALUES ($1) ON CONFLICT DO NOTHING"

# Counted by minutes, so for up to one minute more than the ten that Discord counts.
EGRESS_GROUP = """
SELECT window_from, window_used, next_slot_at, blocked_until, guesses, version, clock_timestamp() AS now,
       COALESCE((SELECT sum(answers) FROM egress_invalid i
                 WHERE i.egress_group = g.egress_group
                   AND i.minute >= date_trunc('minute', clock_timestamp()) - $2::interval), 0)::integer AS invalid
FROM egress_groups g WHERE egress_group = $1
"""

KEEP_EGRESS_GROUP = """
UPDATE egress_groups SET window_from = $3, window_used = $4, next_slot_at = $5, version = version + 1
WHERE egress_group = $1 AND version = $2
RETURNING true
"""

COUNT_INVALID = """
WITH counted AS (
    INSERT INTO egress_invalid AS i (egress_group, minute, answers)
    VALUES ($1, date_trunc('minute', clock_timestamp()), 1)
    ON CONFLICT (egress_group, minute) DO UPDATE SET answers = i.answers + 1
), old AS (
    SELECT egress_group, minute FROM egress_invalid
    WHERE egress_group = $1 AND minute < clock_timestamp() - interval '1 hour'
    FOR UPDATE SKIP LOCKED
)
DELETE FROM egress_invalid i USING old o WHERE i.egress_group = o.egress_group AND i.minute = o.minute
"""

BLOCK_EGRESS = """
UPDATE egress_groups
SET blocked_until = GREATEST(blocked_until, clock_timestamp() + make_interval(secs => $2)), version = version + 1
WHERE egress_group = $1
"""

# As with a destination that refuses and does not say for how long.
COUNT_EGRESS_REFUSAL = """
UPDATE egress_groups
SET guesses = guesses + 1, guessed_at = clock_timestamp(), version = version + 1,
    blocked_until = GREATEST(blocked_until, clock_timestamp() + make_interval(
        secs => ($3::float8[])[LEAST(guesses + 1, cardinality($3::float8[]))]))
WHERE egress_group = $1 AND guessed_at <= $2
"""

FORGET_EGRESS_REFUSALS = "UPDATE egress_groups SET guesses = 0 WHERE egress_group = $1 AND guesses > 0"
