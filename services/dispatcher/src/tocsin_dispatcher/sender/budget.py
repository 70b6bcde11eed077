"""PURE. How fast an address may post: Discord's limit for it, and its budget of invalid answers.

Source: Discord's documentation of rate limits: 50 requests a second without a bot's token; an address that gets
10,000 invalid answers in ten minutes is blocked for a while.
"""

from datetime import timedelta
from typing import NamedTuple

from tocsin_dispatcher.sender.limits import Window

INVALID_PERIOD = timedelta(minutes=10)
SLOWEST = (
    0.01  # POSTs a second: with the budget spent nearly nothing begins until the answers are too old to count
)
SHARE_S = 0.5
"""Windows of ours are half a second long, with half of the POSTs: what comes at the end of one and at the
beginning of the next together is then no more than Discord lets pass in a second."""


class Rules(NamedTuple):
    """What holds for an address."""

    per_s: int
    """POSTs that may begin in a second."""
    invalid_most: int
    """Invalid answers in INVALID_PERIOD."""


def rate(invalid: int, rules: Rules) -> float:
    """POSTs a second after `invalid` answers: with half of the budget spent, so few that the rest lasts as long as
    those count."""
    if 2 * invalid < rules.invalid_most:
        return float(rules.per_s)
    lasting = (rules.invalid_most - invalid) / INVALID_PERIOD.total_seconds()
    return min(float(rules.per_s), max(lasting, SLOWEST))


def window(per_s: float) -> Window:
    """What that comes to."""
    requests = max(1, int(per_s * SHARE_S))
    return Window(requests, requests / per_s)
