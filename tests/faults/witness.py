"""ADAPTER. Who wrote executions, and who was leading then: kept by the database, at each statement's end.

A statement holds the lease's row until it ends, so what is noted then is what was true while it wrote. What is
run by hand is the API's to write, and not noted.
"""

from typing import NamedTuple

from faults.owing import Database

# PostgreSQL cuts a name of 63 bytes off, and a holder is its process's name with something behind it.
INSTALL = """
CREATE TABLE witnessed (writer text, holder text, epoch bigint, held boolean, rows bigint);
CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF EXISTS (SELECT FROM written) AND NOT EXISTS (SELECT FROM written WHERE kind <> 'manual') THEN
        RETURN NULL;
    END IF;
    INSERT INTO witnessed
    SELECT current_setting('application_name'), left(split_part(holder, '/', 1), 63), epoch,
           expires_at > statement_timestamp(),
           (SELECT count(*) FROM written)
    FROM scheduler_lease;
    RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER INSERT ON executions
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION witness();
"""

BY_EPOCH = "SELECT epoch, sum(rows)::bigint AS rows FROM witnessed WHERE rows > 0 GROUP BY epoch"
BY_STRANGERS = (
    "SELECT writer, epoch, rows FROM witnessed WHERE writer IS DISTINCT FROM holder OR (rows > 0 AND NOT held)"
)


class Stranger(NamedTuple):
    """A statement of a process that did not hold the lease, or no more when the statement came."""

    writer: str
    epoch: int
    """Of whoever led then."""
    rows: int
    """That it left behind."""


class Witness:
    """Sees every statement that inserts executions, also one that leaves nothing behind."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def install(self) -> None:
        """From now on."""
        await self._database.execute(INSTALL)

    async def rows_by_epoch(self) -> dict[int, int]:
        """How many rows each leader wrote."""
        return {row["epoch"]: row["rows"] for row in await self._database.fetch(BY_EPOCH)}

    async def strangers(self) -> list[Stranger]:
        """The statements of processes that did not lead."""
        return [Stranger(*row) for row in await self._database.fetch(BY_STRANGERS)]
