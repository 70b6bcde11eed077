"""All rows of the matrix, in the order of the table."""

from faults.matrix.fault import Fault
from faults.matrix.rows import (
    api,
    broker,
    changes,
    clocks,
    cluster,
    cuts,
    database,
    disks,
    everything,
    messages,
    operators,
    outages,
    receivers,
    scheduler,
    sender,
    strange_messages,
)

ROWS: tuple[Fault, ...] = (
    *broker.ROWS,
    *operators.ROWS,
    *cluster.ROWS,
    *database.ROWS,
    *disks.ROWS,
    *api.ROWS,
    *messages.ROWS,
    *strange_messages.ROWS,
    *scheduler.ROWS,
    *outages.ROWS,
    *clocks.ROWS,
    *sender.ROWS,
    *cuts.ROWS,
    *receivers.ROWS,
    *changes.ROWS,
    *everything.ROWS,
)
