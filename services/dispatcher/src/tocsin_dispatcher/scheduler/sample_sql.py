"""The scheduler's SQL about how many executions there are, named for what it answers."""

# Of the first $1 that may be claimed, by the index of open executions: to count all of a great backlog would take
# seconds, again and again.
OPEN_EXECUTIONS = """
SELECT state, count(*) AS executions,
       EXTRACT(EPOCH FROM clock_timestamp() - min(scheduled_for))::float8 AS age_s,
       EXTRACT(EPOCH FROM clock_timestamp() - min(next_at))::float8 AS overdue_s
FROM (
    SELECT state, scheduled_for, next_at FROM executions
    WHERE state IN ('due', 'waiting', 'running')
    ORDER BY next_at LIMIT $1
) AS first
GROUP BY state
"""

# What autovacuum last found; -1: it has not looked yet.
STORED_EXECUTIONS = """
SELECT COALESCE(sum(GREATEST(c.reltuples, 0)), 0)::float8
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'executions'::regclass
"""
