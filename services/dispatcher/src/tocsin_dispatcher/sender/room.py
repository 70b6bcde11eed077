"""PURE. Whether a destination has room now: it may be blocked or broken, and it may have a limit."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tocsin_common import webhook
from tocsin_dispatcher.sender.limits import DISCORD_WINDOW, NO_LIMIT, Window
from tocsin_dispatcher.sender.turns import Line, Turns, Wait, take_turns

LONG_AGO = datetime.fromtimestamp(0, UTC)  # as the table has it: PostgreSQL's -infinity has no time zone here
UNCOUNTED = 5
"""A lone POST to a destination whose windows are at least so large is not written down: many senders would have to
send theirs at the same time."""
PROBE_LOOK_S = 4.0
"""Who waits for a probe asks again after so long: most probes take less, and some are not posted. But where MANY
wait, asking costs more than it brings."""
MANY = 20


class Breaker(NamedTuple):
    """When a destination that gives no sane answer is left alone, and for how long."""

    failures: int
    """So many in a row open it."""
    first_s: float
    """The first block; each further one is twice as long, up to `most_s`."""
    most_s: float
    probe_s: float
    """How long the one POST may take that is tried after a block."""


class Known(NamedTuple):
    """What the senders know of a destination; nothing is known of most."""

    bucket: str | None = None
    window: Window | None = None
    """By its headers."""
    line: Line = Line(LONG_AGO, 0, LONG_AGO)
    blocked_until: datetime = LONG_AGO
    """As it told."""
    broken_until: datetime = LONG_AGO
    """By the breaker."""
    failures: int = 0
    guesses: int = 0
    """How many times in a row it refused, and did not say for how long."""
    version: int = 0
    """Of its row; 0: there may be none."""


class Room(NamedTuple):
    """What becomes of those that want to be posted to a destination."""

    known: Known
    """As it is then."""
    turns: Turns
    """Those that wait in the order in which they asked, those that have waited first."""
    is_probe: bool = False
    """The one that is admitted is the breaker's probe."""


def limit(destination: str, window: Window | None) -> Window:
    """What is known, or else guessed."""
    if window is not None:
        return window
    return DISCORD_WINDOW if webhook.is_discords(destination) else NO_LIMIT


def must_ask(
    destination: str, known: Known, breaker: Breaker, now: datetime, *, number: int, is_recent: bool
) -> bool:
    """Whether `number` of POSTs need room; else they begin, and nothing is written down.

    `is_recent`: this sender began another one within a window of its limit.
    """
    if max(known.blocked_until, known.broken_until) > now or known.failures >= breaker.failures:
        return True
    window, line = limit(destination, known.window), known.line
    if window == NO_LIMIT:
        return False
    is_in_use = max(line.window_from + timedelta(seconds=window.length_s), line.next_slot_at) > now
    return number > 1 or is_in_use or is_recent or window.requests < UNCOUNTED


def room(destination: str, known: Known, breaker: Breaker, now: datetime, *, waited: int, new: int) -> Room:
    """Decide on `waited` that have waited for their turn, and on `new` that come for the first time."""
    if known.failures >= breaker.failures and max(known.blocked_until, known.broken_until) <= now:
        probe = _turns(destination, known, now, waited=min(waited, 1), new=1 - min(waited, 1))
        if probe.admitted:
            known = known._replace(line=probe.line, broken_until=now + timedelta(seconds=breaker.probe_s))
            waited, new = waited - min(waited, 1), new - 1 + min(waited, 1)
            look_s = PROBE_LOOK_S if waited + new <= MANY else breaker.probe_s
            soon = known._replace(broken_until=now + timedelta(seconds=min(look_s, breaker.probe_s)))
            others = _turns(destination, soon, now, waited=waited, new=new)
            turns = others._replace(admitted=1)
            return Room(known._replace(line=turns.line), turns, is_probe=True)
    turns = _turns(destination, known, now, waited=waited, new=new)
    return Room(known._replace(line=turns.line), turns)


def _turns(destination: str, known: Known, now: datetime, *, waited: int, new: int) -> Turns:
    window, blocked_until = limit(destination, known.window), max(known.blocked_until, known.broken_until)
    if window != NO_LIMIT:
        is_guess = known.window is None
        return take_turns(
            known.line, window, now, waited=waited, new=new, blocked_until=blocked_until, is_guess=is_guess
        )
    if blocked_until <= now:
        return Turns(known.line, waited + new, [])
    wait = Wait((blocked_until - now).total_seconds(), is_turn=False)
    return Turns(known.line, 0, [wait] * (waited + new))
