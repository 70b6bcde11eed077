"""The scheduler's SQL about its lease, named for what it answers or does."""

# A transaction id means something in this database only, and not after a copy of it went on by itself.
DATABASE_ID = """
(SELECT system_identifier FROM pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
"""

LEASE = f"""
SELECT watermark, feed_xid, feed_snapshot, database_id, reboot_at, {DATABASE_ID} AS current_database_id
FROM scheduler_lease
"""  # noqa: S608 - built from a constant above

TAKE_LEASE = f"""
UPDATE scheduler_lease
SET holder = $1, epoch = epoch + 1, expires_at = clock_timestamp() + $2::interval,
    reboot_at = CASE WHEN expires_at < clock_timestamp() - $3::interval THEN clock_timestamp() ELSE reboot_at END
WHERE expires_at <= clock_timestamp() - $4::interval OR (holder = $1 AND $4::interval = '0')
RETURNING epoch, watermark, feed_xid, feed_snapshot, database_id, gap_until, gap_snapshot, reboot_at,
          clock_timestamp() AS now, {DATABASE_ID} AS current_database_id
"""  # noqa: S608 - built from a constant above

RENEW_LEASE = """
UPDATE scheduler_lease
SET expires_at = clock_timestamp() + $3::interval, tasks = $4, schedules = $5, next_due_at = $6
WHERE holder = $1 AND epoch = $2 AND expires_at > clock_timestamp()
RETURNING clock_timestamp() AS now
"""

RELEASE_LEASE = """
UPDATE scheduler_lease SET expires_at = LEAST(expires_at, clock_timestamp()), holder = NULL
WHERE holder = $1 AND epoch = $2
RETURNING true
"""
