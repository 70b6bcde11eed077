"""PURE. How a webhook of the local receiver answers: in what order, how late, within what limit."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from tocsin_local.limit import Limit, Turn, Window
from tocsin_local.post import Post

NO_ANSWER = 0
"""In a script: let the client wait until it goes away, or the receiver closes."""
RESET = 1
"""Break the connection off, before anything was said."""
RESET_AFTER_HEADERS = 2
"""Say 200 and a length, and break the connection off."""
DRIP = 3
"""Say 200 and then a byte now and then, without end."""
HUGE = 4
"""Say 200 and then more than anybody reads, without end."""
MISBEHAVIOURS = frozenset({NO_ANSWER, RESET, RESET_AFTER_HEADERS, DRIP, HUGE})
"""Each stands in a script like a status."""


class Script(NamedTuple):
    """How a webhook answers. Its limit comes first: what a limit refuses uses nothing of the script up."""

    first: tuple[int, ...] = ()
    """Statuses of the webhook's first requests."""
    each: tuple[int, ...] = ()
    """After that: statuses of every execution's first attempts."""
    then: int = 200
    """After that: 200 (204 where the client does not wait), or another status, or one of MISBEHAVIOURS."""
    delay_s: float = 0
    limit: Limit | None = None
    hidden_limit: Limit | None = None
    """Another one that no header shows, as Discord's for a channel: only the wait that a refusal names."""


@dataclass(slots=True)
class LocalWebhook:
    """One webhook of the receiver. `script` may be replaced at any time; the limits' windows go on."""

    webhook_id: str
    token: str
    url: str
    script: Script
    posts: list[Post] = field(default_factory=list)
    _window: Window | None = None
    _hidden_window: Window | None = None
    _requests: int = 0
    _attempts: Counter[UUID | None] = field(default_factory=Counter)

    def turn(self, now: float) -> Turn | None:
        """What the limit says to a request at `now`, which counts; None without a limit."""
        if self.script.limit is None:
            return None
        self._window = self._window or Window(self.script.limit)
        return self._window.take(now)

    def hidden_turn(self, now: float) -> Turn | None:
        """What the hidden limit says to it."""
        if self.script.hidden_limit is None:
            return None
        self._hidden_window = self._hidden_window or Window(self.script.hidden_limit)
        return self._hidden_window.take(now)

    def next_status(self, execution_id: UUID | None) -> int:
        """The scripted status of the next request."""
        number, self._requests = self._requests, self._requests + 1
        if number < len(self.script.first):
            return self.script.first[number]
        attempt = self._attempts[execution_id]
        self._attempts[execution_id] += 1
        return self.script.each[attempt] if attempt < len(self.script.each) else self.script.then
