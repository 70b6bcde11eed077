"""PURE. How many POSTs may begin at one address: Discord's limit for it, and its budget of invalid answers.

Source: Discord's documentation of rate limits: 50 requests a second without a bot's token; an address that gets
10,000 invalid answers in ten minutes is blocked for a while.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

INVALID_PERIOD = timedelta(minutes=10)
SLOWEST = 0.01  # POSTs a second: with the budget spent nearly nothing begins until the period ends


class Rules(NamedTuple):
    """What holds for an address."""

    per_s: int
    """POSTs that may begin in a second."""
    invalid_most: int
    """Invalid answers in INVALID_PERIOD."""


class Group(NamedTuple):
    """What the senders that share an address know together."""

    window_from: datetime
    window_used: int
    next_slot_at: datetime
    """Where the queue of those ends that found no room."""
    blocked_until: datetime
    invalid_from: datetime
    invalid: int


class Decision(NamedTuple):
    """What becomes of those that want to begin."""

    group: Group
    admitted: int
    """So many begin now: first of those with a slot, then of the others."""
    waits_s: list[float]
    """When the rest of them may, in this order."""


def rate(group: Group, rules: Rules, now: datetime) -> float:
    """POSTs a second: with half of the budget spent, so few that the other half lasts until the period ends."""
    left = group.invalid_from + INVALID_PERIOD - now if group.invalid else timedelta(0)
    if left <= timedelta(0) or 2 * group.invalid < rules.invalid_most:
        return float(rules.per_s)
    lasting = (rules.invalid_most - group.invalid) / max(left.total_seconds(), 1.0)
    return min(float(rules.per_s), max(lasting, SLOWEST))


def admit(group: Group, rules: Rules, now: datetime, *, slotted: int, others: int) -> Decision:
    """Decide on `slotted` POSTs that waited for their slot and on `others` that come new.

    New ones do not overtake a queue. Those that waited do not go to its end again: the next window is theirs.
    """
    per_s = rate(group, rules, now)
    most = max(1, int(per_s))
    length = timedelta(seconds=max(1.0, 1.0 / per_s))
    is_over = group.window_from + length <= now
    begins_at, used = (now, 0) if is_over else (group.window_from, group.window_used)
    may = slotted + (others if group.next_slot_at <= now else 0)
    admitted = 0 if group.blocked_until > now else min(may, max(0, most - used))
    step = length / most
    first = max(begins_at + length, group.blocked_until)
    again = [first + n * step for n in range(max(0, slotted - admitted))]
    queue = max(first, group.next_slot_at)
    queued = [queue + n * step for n in range(others - max(0, admitted - slotted))]
    end = queued[-1] + step if queued else group.next_slot_at
    left = group._replace(window_from=begins_at, window_used=used + admitted, next_slot_at=end)
    return Decision(left, admitted, [(at - now).total_seconds() for at in again + queued])
