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
    is_turn: bool | None
    """By then it has waited for its turn: it goes before those that come new. None: that stays as it is."""


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

    New ones do not overtake a queue, unless nobody of it comes. Where the window is a guess, nobody queues: all
    ask again after it, for by then the receiver may have told its own.
    """
    length = timedelta(seconds=window.length_s)
    step = length * MARGIN / window.requests
    is_over = line.window_from + length <= now
    begins_at, used = (now, 0) if is_over else (line.window_from, line.window_used)
    # Nobody has begun for a while, so those that were told to come do not come: they were cancelled, say.
    if max(line.window_from + length * MARGIN, blocked_until) + step <= now < line.next_slot_at:
        line = line._replace(next_slot_at=now)
    may = waited + (new if line.next_slot_at <= now else 0)
    admitted = 0 if blocked_until > now else max(0, min(may, window.requests - used))
    if used + admitted:
        line = line._replace(window_from=begins_at, window_used=used + admitted)
    next_window = max(begins_at + length * MARGIN if used + admitted else now, blocked_until)
    late = waited + new - admitted
    if is_guess:
        return Turns(line, admitted, [Wait((next_window - now).total_seconds(), is_turn=False)] * late)
    # Who was told to come and finds no room comes with the next window, but of many that were away together few.
    again = min(max(0, waited - admitted), window.requests)
    has_room = used + admitted < window.requests
    queue = max(blocked_until if has_room else next_window, line.next_slot_at, now)
    places = [next_window + n * step for n in range(again)] + [queue + n * step for n in range(late - again)]
    if late > again:
        line = line._replace(next_slot_at=places[-1] + step)
    return Turns(line, admitted, [Wait((at - now).total_seconds(), is_turn=True) for at in places])
