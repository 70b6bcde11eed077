"""All rows of the matrix, in the order of the table."""

from faults.matrix.fault import Fault
from faults.matrix.rows import api, broker, cuts, database, everything, messages, scheduler, sender

ROWS: tuple[Fault, ...] = (
    *broker.ROWS,
    *database.ROWS,
    *api.ROWS,
    *messages.ROWS,
    *scheduler.ROWS,
    *sender.ROWS,
    *cuts.ROWS,
    *everything.ROWS,
)
