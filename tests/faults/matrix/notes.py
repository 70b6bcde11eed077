"""ADAPTER. What the database itself notes of a run: what fell that may only rise (I5), and what ended twice (I1).

Triggers see each change, however soon another one follows.
"""

from faults.outage import Outage
from faults.owing import Database
from faults.witness import Witness

INSTALL = """
CREATE TABLE noted (invariant text, what text);
CREATE FUNCTION note_fall() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO noted VALUES ('I5', format('watermark and epoch fell from %s, %s to %s, %s',
                                           OLD.watermark, OLD.epoch, NEW.watermark, NEW.epoch));
    RETURN NULL;
END $$;
CREATE TRIGGER note_fall AFTER UPDATE ON scheduler_lease FOR EACH ROW
    WHEN (NEW.watermark < OLD.watermark OR NEW.epoch < OLD.epoch) EXECUTE FUNCTION note_fall();
CREATE FUNCTION note_second_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO noted VALUES ('I1', format('%s at %s was %s and became %s',
                                           OLD.task_id, OLD.scheduled_for, OLD.state, NEW.state));
    RETURN NULL;
END $$;
CREATE TRIGGER note_second_end AFTER UPDATE ON executions FOR EACH ROW
    WHEN (OLD.state NOT IN ('due', 'waiting', 'running')
          AND NEW.state <> OLD.state AND NEW.state <> 'succeeded') EXECUTE FUNCTION note_second_end();
CREATE TABLE gaps (since timestamptz, until timestamptz);
CREATE FUNCTION note_gap() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO gaps VALUES (NEW.watermark, NEW.gap_until);
    RETURN NULL;
END $$;
CREATE TRIGGER note_gap AFTER UPDATE ON scheduler_lease FOR EACH ROW
    WHEN (OLD.gap_until IS NULL AND NEW.gap_until IS NOT NULL) EXECUTE FUNCTION note_gap();
"""
"""A success that becomes known late is the one end that replaces another."""

NOTED = "SELECT invariant, what FROM noted"


class Notes:
    """Of one run."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._witness = Witness(database)

    async def install(self) -> None:
        """From now on."""
        await self._database.execute(INSTALL)
        await self._witness.install()

    async def gaps(self) -> list[Outage]:
        """The outages that a leader decided on, as it says itself."""
        return [Outage(*row) for row in await self._database.fetch("SELECT since, until FROM gaps ORDER BY until")]

    async def problems(self) -> list[str]:
        """What was noted that must not be."""
        strangers = await self._witness.strangers()
        return [
            *(f"{invariant}: {what}" for invariant, what in await self._database.fetch(NOTED)),
            *(f"I5: {each.writer} wrote {each.rows} rows without the lease" for each in strangers if each.rows),
        ]
