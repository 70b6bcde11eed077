"""ADAPTER. What the database itself notes of a run, and which claims were lost.

I1: what ended twice. I2: a claim that was taken over while it held. I5: what fell that may only rise, and a row of
the lease that came or went. Triggers see each change, however soon another one follows.
"""

from datetime import datetime
from typing import NamedTuple

from faults.matrix.attempts import Loss
from faults.matrix.verdict import Key
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
CREATE FUNCTION note_other_lease() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO noted VALUES ('I5', TG_OP || ' on the row of the lease, which stays as long as the database');
    RETURN NULL;
END $$;
CREATE TRIGGER note_other_lease AFTER INSERT OR DELETE OR TRUNCATE ON scheduler_lease
    FOR EACH STATEMENT EXECUTE FUNCTION note_other_lease();
CREATE FUNCTION note_second_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO noted VALUES ('I1', format('%s at %s was %s and became %s',
                                           OLD.task_id, OLD.scheduled_for, OLD.state, NEW.state));
    RETURN NULL;
END $$;
CREATE TRIGGER note_second_end AFTER UPDATE ON executions FOR EACH ROW
    WHEN (OLD.state NOT IN ('due', 'waiting', 'running')
          AND NEW.state <> OLD.state AND NEW.state <> 'succeeded') EXECUTE FUNCTION note_second_end();
CREATE TABLE losses (
    task_id uuid, scheduled_for timestamptz, seq integer, held_until timestamptz, was_recorded boolean, holder text
);
CREATE FUNCTION note_loss() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF OLD.next_at > clock_timestamp() THEN
        INSERT INTO noted VALUES ('I2', format('%s at %s was taken from %s, whose claim held until %s',
                                               OLD.task_id, OLD.scheduled_for, OLD.claimed_by, OLD.next_at));
    END IF;
    INSERT INTO losses VALUES (OLD.task_id, OLD.scheduled_for, OLD.seq, OLD.next_at, EXISTS (
        SELECT FROM task_logs
        WHERE scheduled_for = OLD.scheduled_for AND task_id = OLD.task_id AND seq = OLD.seq
    ), OLD.claimed_by);
    RETURN NULL;
END $$;
CREATE TRIGGER note_loss AFTER UPDATE ON executions FOR EACH ROW
    WHEN (OLD.state = 'running' AND (NEW.seq > OLD.seq OR NEW.lost_claims > OLD.lost_claims))
    EXECUTE FUNCTION note_loss();
CREATE TABLE gaps (since timestamptz, until timestamptz, decided_at timestamptz);
CREATE FUNCTION note_gap() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO gaps VALUES (NEW.watermark, NEW.gap_until, clock_timestamp());
    RETURN NULL;
END $$;
CREATE TRIGGER note_gap AFTER UPDATE ON scheduler_lease FOR EACH ROW
    WHEN (OLD.gap_until IS NULL AND NEW.gap_until IS NOT NULL) EXECUTE FUNCTION note_gap();
"""
"""A success that becomes known late is the one end that replaces another."""

NOTED = "SELECT invariant, what FROM noted"
LOSSES = "SELECT task_id, scheduled_for, seq, held_until, was_recorded FROM losses"
HOLDERS = "SELECT holder, held_until FROM losses"
GAPS = "SELECT since, until, decided_at FROM gaps ORDER BY until"


class Gap(NamedTuple):
    """An outage that a leader decided on, as it says itself, and when it did."""

    outage: Outage
    decided_at: datetime


class Notes:
    """Of one run."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._witness = Witness(database)

    async def install(self) -> None:
        """From now on."""
        await self._database.execute(INSTALL)
        await self._witness.install()

    async def gaps(self) -> list[Gap]:
        """In their order."""
        rows = await self._database.fetch(GAPS)
        return [Gap(Outage(since, until), decided_at) for since, until, decided_at in rows]

    async def losses(self) -> list[tuple[Key, Loss]]:
        """The claims that ran out and were taken over."""
        rows = await self._database.fetch(LOSSES)
        return [((task_id, instant), Loss(*facts)) for task_id, instant, *facts in rows]

    async def losers(self) -> list[tuple[str, datetime]]:
        """The senders whose claims those were, and until when each held."""
        return [(holder, held_until) for holder, held_until in await self._database.fetch(HOLDERS)]

    async def problems(self) -> list[str]:
        """What was noted that must not be."""
        strangers = await self._witness.strangers()
        return [
            *(f"{invariant}: {what}" for invariant, what in await self._database.fetch(NOTED)),
            *(f"I5: {each.writer} wrote {each.rows} rows without the lease" for each in strangers if each.rows),
        ]
