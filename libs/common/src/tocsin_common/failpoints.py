"""PURE. Named places on the path of an execution, where a test can end the process that gets there.

Only a handler that was given to `arm` does anything. No setting and no environment variable leads here, and
nothing that is installed calls `arm`: the tests' own launcher does (a test holds that). So a process in
production cannot be made to fail here.
"""

from collections.abc import Callable
from typing import Literal

Failpoint = Literal[
    "api.task_committed",  # a task's revision is committed; its hint is not sent
    "scheduler.rows_due",  # a chunk of executions is due; none of its rows is committed
    "scheduler.rows_committed",  # they are; their job messages are not published
    "scheduler.chunk_announced",  # they are published and confirmed; the same emission has more chunks
    "scheduler.rows_announced",  # an emission's last chunk is confirmed; the heap has not advanced
    "scheduler.gap_frozen",  # a gap's end is decided; none of its rows is committed
    "scheduler.gap_emitted",  # all of a gap's rows are committed; it is not closed
    "scheduler.swept",  # overdue rows are marked as announced again; their job messages are not published
    "scheduler.remains_removed",  # some of a deleted task's rows are gone; others are not
    "sender.job_received",  # a job message is here; nothing of it is claimed
    "sender.claimed",  # its executions are claimed; it is not acked
    "sender.acked",  # it is acked; no POST has begun
    "sender.parked",  # executions wait and their message is acked; nothing brings them back
    "sender.answered",  # the receiver has answered; nothing is recorded
    "sender.recorded",  # the outcome is committed; nothing has followed from it
    "sender.in_tier",  # jobs were published to a retry tier
]
"""Each name with what has happened when it is reached, and what has not."""

_handler: Callable[[Failpoint], None] | None = None


def arm(handler: Callable[[Failpoint], None]) -> None:
    """Have `handler` called at every failpoint from here on. For tests only."""
    global _handler
    _handler = handler


def reach(name: Failpoint) -> None:
    """Say that this place is reached."""
    if _handler is not None:
        _handler(name)
