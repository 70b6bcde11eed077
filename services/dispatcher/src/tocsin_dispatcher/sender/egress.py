"""ADAPTER. The limits that Discord has for an address, shared by the senders of one egress group."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import asyncpg
import structlog

from tocsin_common.messages import Job
from tocsin_dispatcher import metrics
from tocsin_dispatcher.sender import limit_sql
from tocsin_dispatcher.sender.budget import INVALID_PERIOD, Rules, rate, window
from tocsin_dispatcher.sender.claim import Asking
from tocsin_dispatcher.sender.outcome import DEFAULT_WAITS_S
from tocsin_dispatcher.sender.post import Attempt
from tocsin_dispatcher.sender.turns import Line, Wait, take_turns

_log = structlog.get_logger(__name__)


class _Group(NamedTuple):
    """What the senders that share an address know together."""

    line: Line
    blocked_until: datetime
    per_s: float
    """POSTs that may begin in a second, after so many invalid answers."""
    version: int
    now: datetime


class Egress:
    """Who may be posted to now, as far as this address goes."""

    def __init__(self, pool: asyncpg.Pool, *, group: str, rules: Rules) -> None:
        self._pool = pool
        self._group = group
        self._rules = rules
        self._is_slow = False
        self.refusals = 0
        """How many times in a row Discord refused everything, and did not say for how long."""

    async def admit(self, asking: Collection[Asking]) -> dict[Job, Wait]:
        """Let as many begin as there is room for; returns when each of the others is to come again.

        Decided anew where another sender was faster.
        """
        if not asking:
            return {}
        queue = sorted(asking, key=lambda each: each.place)
        waited = sum(each.has_waited for each in queue)
        while True:
            group = await self._look_up()
            turns = take_turns(
                group.line,
                window(group.per_s),
                group.now,
                waited=waited,
                new=len(queue) - waited,
                blocked_until=group.blocked_until,
            )
            if turns.line == group.line or await self._keep(group.version, turns.line):
                self._say_how_fast(group.per_s)
                late = [each.job for each in queue[turns.admitted :]]
                return dict(zip(late, turns.waits, strict=True))

    async def learn(self, attempt: Attempt) -> None:
        """Tell the group what an attempt to post to Discord shows."""
        told, is_guess = attempt.told, attempt.verdict.is_guess
        if told is None:
            return
        if told.is_invalid:
            metrics.ANSWERS_INVALID.inc()
            await self._pool.execute(limit_sql.COUNT_INVALID, self._group)
        if told.is_everywhere:
            await self._block(attempt, told.blocked_s)
        elif self.refusals and not is_guess:
            self.refusals = 0
            await self._pool.execute(limit_sql.FORGET_EGRESS_REFUSALS, self._group)

    async def _block(self, attempt: Attempt, seconds: float) -> None:
        _log.warning("egress.blocked", egress_group=self._group, blocked_s=round(seconds, 1))
        await self._meet()
        if attempt.verdict.is_guess:
            waits_s = list(DEFAULT_WAITS_S)
            await self._pool.execute(limit_sql.COUNT_EGRESS_REFUSAL, self._group, attempt.started_at, waits_s)
        else:
            await self._pool.execute(limit_sql.BLOCK_EGRESS, self._group, seconds)

    async def _look_up(self) -> _Group:
        while (row := await self._row()) is None:  # nobody has posted from here yet, or the database is another
            await self._meet()
        self.refusals = row["guesses"]
        line = Line(row["window_from"], row["window_used"], row["next_slot_at"])
        return _Group(line, row["blocked_until"], rate(row["invalid"], self._rules), row["version"], row["now"])

    async def _row(self) -> asyncpg.Record | None:
        return await self._pool.fetchrow(limit_sql.EGRESS_GROUP, self._group, INVALID_PERIOD)

    async def _meet(self) -> None:
        await self._pool.execute(limit_sql.MEET_EGRESS_GROUP, self._group)

    async def _keep(self, version: int, line: Line) -> bool:
        return bool(await self._pool.fetchval(limit_sql.KEEP_EGRESS_GROUP, self._group, version, *line))

    def _say_how_fast(self, per_s: float) -> None:
        is_slow = per_s < self._rules.per_s
        if is_slow != self._is_slow:
            self._is_slow = is_slow
            event = "egress.slowed" if is_slow else "egress.recovered"
            _log.warning(event, egress_group=self._group, posts_a_second=round(per_s, 2))
