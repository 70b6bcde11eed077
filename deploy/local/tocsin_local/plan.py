"""PURE. The demo's tasks and how the webhooks that they post to answer."""

from typing import NamedTuple

from tocsin_local.limit import Limit
from tocsin_local.script import Script

WIDE = Limit(50, 1.0)  # never reached here; its headers are told all the same
NARROW = Limit(5, 2.0)  # Discord's own, for one webhook
BURST_TASKS = 8  # every 4 s: more than 5 at one instant, yet 2 a second on average, which 5 per 2 s can take
MAX_RETRY = 3


class Plan(NamedTuple):
    """Tasks with one schedule that post to one webhook of their own."""

    names: tuple[str, ...]
    schedule: str
    script: Script


PLANS = (
    Plan(("every-second",), "* * * * * *", Script(limit=WIDE)),
    Plan(("fails-at-first",), "*/5 * * * * *", Script(each=(500,), limit=WIDE)),
    Plan(
        tuple(f"limited-{number}" for number in range(1, BURST_TASKS + 1)),
        "*/4 * * * * *",
        Script(limit=NARROW),
    ),
)
DISCORD_NAME = "discord"
DISCORD_SCHEDULE = "*/10 * * * * *"
