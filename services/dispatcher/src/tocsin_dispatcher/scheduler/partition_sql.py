"""The scheduler's SQL about partitions, named for what it answers or does."""

# The tables' owner's own functions: to make and to drop partitions takes all rights over a table.
MAKE_PARTITIONS = "SELECT make_partitions($1::date) AS name"

# A row without a name says that the day is kept.
DROP_PARTITIONS = "SELECT drop_partitions($1::date) AS name"

# The days of which there are partitions that are named as the scheduler names them. What somebody detached, or
# made under another name, is left alone.
DAILY_PARTITIONS = """
SELECT DISTINCT right(c.relname, 8) AS day
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
JOIN pg_class parent ON parent.oid = i.inhparent AND c.relname ~ ('^' || parent.relname || '_[0-9]{8}$')
WHERE i.inhparent = ANY($1::text[]::regclass[])
ORDER BY 1
"""
