"""PURE. Whose turn it is where only so many may begin in a time: at a webhook with a limit, or from an address.

Nobody owns a place in a window. Who finds no room is told when to come again, and then goes before those that come
new; room is what is left of the window as it really began. So neither who comes late, nor who never comes, nor who
comes in another state than he went makes more begin than the limit allows.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from tocsin_dispatcher.sender.limits import Window

MARGIN = 1.03
"""How much longer than its limit's a window of those that wait is. A receiver's begins when the first POST
arrives, and POSTs take their time to arrive."""
HORIZON = timedelta(seconds=30)
"""Nobody is told a time beyond it: who is far behind asks again, for by then others may have been cancelled, or
the limit be another."""


class Line(NamedTuple):
    """Of those that began, and of those that wait."""

    window_from: datetime
    window_used: int
    """So many began since `window_from`."""
    next_slot_at: datetime
    """Where the queue of those that wait ends."""


class Wait(NamedTuple):
    """When to come again."""

    seconds: float
    is_turn: bool
    """By then it has waited for its turn: it goes before those that come new."""


class Turns(NamedTuple):
    """What becomes of those that want to begin."""

    line: Line
    admitted: int
    """So many begin now: first of those that have waited, then of the new ones."""
    waits: list[Wait]
    """Of the others, in this order."""


def take_turns(
    line: Line,
    window: Window,
    now: datetime,
    *,
    waited: int,
    new: int,
    blocked_until: datetime,
    is_guess: bool = False,
) -> Turns:
    """Decide on `waited` that have waited for their turn, and on `new` that come for the first time.

    New ones do not overtake a queue. Where the window is a guess, nobody queues: all ask again after it, for by
    then the receiver may have told its own.
    """
    length = timedelta(seconds=window.length_s)
    is_over = line.window_from + length <= now
    begins_at, used = (now, 0) if is_over else (line.window_from, line.window_used)
    may = waited + (new if line.next_slot_at <= now else 0)
    admitted = 0 if blocked_until > now else max(0, min(may, window.requests - used))
    left = max(0, waited - admitted)
    rest = waited + new - admitted - left
    if used + admitted:
        line = line._replace(window_from=begins_at, window_used=used + admitted)
        first = max(begins_at + length * MARGIN, blocked_until)
    else:
        first = max(now, blocked_until)
    if is_guess:
        return Turns(line, admitted, [Wait((first - now).total_seconds(), is_turn=False)] * (left + rest))
    step, last = length * MARGIN / window.requests, first + HORIZON
    queue = max(first, line.next_slot_at)
    places = [first + n * step for n in range(left)] + [queue + n * step for n in range(rest)]
    queued = sum(queue + n * step <= last for n in range(rest))
    if queued:
        line = line._replace(next_slot_at=queue + queued * step)
    return Turns(line, admitted, [Wait((min(at, last) - now).total_seconds(), at <= last) for at in places])
