"""ADAPTER. The limits that Discord has for an address, shared by the senders of one egress group."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import asyncpg
import structlog

from tocsin_common.database import CONNECTION_ERRORS
from tocsin_common.messages import Job
from tocsin_dispatcher import metrics
from tocsin_dispatcher.sender import limit_sql
from tocsin_dispatcher.sender.budget import INVALID_PERIOD, Decision, Group, Rules, admit, rate

_log = structlog.get_logger(__name__)


class Egress:
    """Who may be posted to now, as far as this address goes."""

    def __init__(self, pool: asyncpg.Pool, *, group: str, rules: Rules) -> None:
        self._pool = pool
        self._group = group
        self._rules = rules
        self._is_slow = False

    async def postpone(self, jobs: Collection[Job]) -> list[tuple[Job, float]]:
        """Let as many of `jobs` begin as may now; the others wait: returns those with their seconds."""
        if not jobs:
            return []
        waits = await self._decide(jobs)
        if not waits:
            return []
        keys = [(*key, wait_s) for key, wait_s in waits.items()]
        rows = await self._pool.fetch(limit_sql.POSTPONE, *map(list, zip(*keys, strict=True)))
        return [(Job(row["task_id"], row["scheduled_for"], row["destination"]), row["wait_s"]) for row in rows]

    async def count_invalid(self) -> None:
        """An answer counted towards Discord's budget. If the database is away, it goes uncounted."""
        metrics.ANSWERS_INVALID.inc()
        await self._tell(limit_sql.COUNT_INVALID, INVALID_PERIOD)

    async def block(self, seconds: float) -> None:
        """Discord wants nothing from this address for so long. If the database is away, it says so again."""
        _log.warning("egress.blocked", egress_group=self._group, blocked_s=round(seconds, 1))
        await self._tell(limit_sql.BLOCK_EGRESS, seconds)

    async def _decide(self, jobs: Collection[Job]) -> dict[tuple[datetime, UUID], float]:
        """The seconds that jobs have to wait. Decided anew where another sender was faster."""
        instants, task_ids = [job.scheduled_for for job in jobs], [job.task_id for job in jobs]
        while True:
            rows = await self._pool.fetch(limit_sql.EGRESS_GROUP, self._group, instants, task_ids)
            if not rows:
                return {}
            if rows[0]["version"] is None:  # nobody has posted from here yet, or the database is another
                await self._meet()
                continue
            group, now = Group(*(rows[0][field] for field in Group._fields)), rows[0]["now"]
            ordered = sorted(rows, key=lambda row: (not row["has_slot"], row["scheduled_for"], row["task_id"]))
            slotted = sum(row["has_slot"] for row in rows)
            decision = admit(group, self._rules, now, slotted=slotted, others=len(rows) - slotted)
            if await self._keep(rows[0]["version"], decision):
                self._say_how_fast(rate(group, self._rules, now))
                late = ordered[decision.admitted :]
                return {
                    (row["scheduled_for"], row["task_id"]): wait_s
                    for row, wait_s in zip(late, decision.waits_s, strict=True)
                }

    async def _meet(self) -> None:
        await self._pool.execute(limit_sql.MEET_EGRESS_GROUP, self._group)

    async def _keep(self, version: int, decision: Decision) -> bool:
        kept = decision.group
        return bool(
            await self._pool.fetchval(
                limit_sql.KEEP_EGRESS_GROUP,
                self._group,
                version,
                kept.window_from,
                kept.window_used,
                kept.next_slot_at,
            )
        )

    def _say_how_fast(self, per_s: float) -> None:
        is_slow = per_s < self._rules.per_s
        if is_slow != self._is_slow:
            self._is_slow = is_slow
            event = "egress.slowed" if is_slow else "egress.recovered"
            _log.warning(event, egress_group=self._group, posts_a_second=round(per_s, 2))

    async def _tell(self, statement: str, argument: object) -> None:
        try:
            await self._meet()
            await self._pool.execute(statement, self._group, argument)
        except CONNECTION_ERRORS as error:
            _log.warning("egress.not_shared", egress_group=self._group, error=repr(error))
