"""ADAPTER. Records outcomes in small batches, and keeps them through a database outage."""

import asyncio
import random
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import structlog

from tocsin_common.database import CONNECTION_ERRORS, DATA_ERRORS
from tocsin_common.errors import TocsinError
from tocsin_common.messages import execution_id
from tocsin_dispatcher.sender import sql
from tocsin_dispatcher.sender.backoff import Backoff, Next, decide
from tocsin_dispatcher.sender.claim import Grant
from tocsin_dispatcher.sender.post import Attempt

RETRY_S = 0.5
_random = random.SystemRandom()

_log = structlog.get_logger(__name__)


class RefusedOutcomeError(TocsinError, ValueError):
    """The database refuses to store an outcome; the text names the kind of its error and no value."""


class Recorded(NamedTuple):
    """How an attempt changed its execution."""

    next: Next
    counts: bool
    """The execution took this state; otherwise another attempt has overtaken this one."""
    failures_in_row: int


class _Row(NamedTuple):
    """The arguments of one record, in the order of the statement."""

    scheduled_for: datetime
    task_id: UUID
    seq: int
    state: str
    reason: str | None
    failures: int
    wait_s: float
    outcome: str
    log_status: str
    retry_count: int
    http_status: int | None
    ambiguous: bool
    execution_time: datetime
    duration_ms: int
    message: str
    is_ours: bool


class _Pending(NamedTuple):
    row: _Row
    next: Next
    done: "asyncio.Future[Recorded]"

    @property
    def key(self) -> tuple[datetime, UUID]:
        return self.row.scheduled_for, self.row.task_id


class Recorder:
    """Records for one sender. What it holds is bounded by the POST slots."""

    def __init__(self, pool: asyncpg.Pool, backoff: Backoff, *, batch: int, delay_s: float) -> None:
        self._pool = pool
        self._backoff = backoff
        self._batch = batch
        self._delay_s = delay_s
        self._queue: asyncio.Queue[_Pending] = asyncio.Queue()
        self._unrecorded = 0

    def record(self, grant: Grant, attempt: Attempt) -> "asyncio.Future[Recorded]":
        """Done once the outcome is committed, however long the database is away; or RefusedOutcomeError."""
        verdict = attempt.verdict
        following = decide(
            verdict, self._backoff, failures=grant.failures, max_retry=grant.max_retry, chance=_random.random()
        )
        pending = _Pending(_row(grant, attempt, following), following, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(pending)
        self._unrecorded += 1
        return pending.done

    def unrecorded(self) -> int:
        """How many outcomes are not committed yet."""
        return self._unrecorded

    async def flushed(self) -> None:
        """Returns once nothing is waiting to be recorded."""
        await self._queue.join()

    async def run(self) -> None:
        """Record for ever."""
        held: list[_Pending] = []
        while True:
            batch = held or [await self._queue.get()]
            await asyncio.sleep(self._delay_s)
            while len(batch) < self._batch and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            # One statement writes an execution once: a second outcome of it waits for the next.
            first = {pending.key: pending for pending in reversed(batch)}
            held = [pending for pending in batch if first[pending.key] is not pending]
            await self._write(list(first.values()))
            for _ in first:
                self._queue.task_done()
            self._unrecorded -= len(first)

    async def _write(self, batch: list[_Pending]) -> None:
        while True:
            try:
                rows = await self._pool.fetch(sql.RECORD, *_columns(batch))
            except DATA_ERRORS as error:
                await self._write_apart(batch, error)
            except CONNECTION_ERRORS as error:
                _log.warning("outcomes.kept", attempts=len(batch), error=repr(error))
                await asyncio.sleep(RETRY_S)
                continue
            except asyncpg.PostgresError as error:  # a constraint, a trigger, a right that is missing
                await self._write_apart(batch, error)
            else:
                _resolve(batch, rows)
            return

    async def _write_apart(self, batch: list[_Pending], error: Exception) -> None:
        """One record that the database refuses must not take its neighbours with it."""
        if len(batch) > 1:
            for pending in batch:
                await self._write([pending])
            return
        row, kind, sqlstate = batch[0].row, type(error).__name__, getattr(error, "sqlstate", None)
        _log.error(
            "outcome.refused",
            execution_id=str(execution_id(row.task_id, row.scheduled_for)),
            task_id=str(row.task_id),
            error=kind,  # its text may hold the values
            sqlstate=sqlstate,
        )
        if not batch[0].done.done():
            batch[0].done.set_exception(RefusedOutcomeError(f"{kind}, SQLSTATE {sqlstate}"))


def _row(grant: Grant, attempt: Attempt, following: Next) -> _Row:
    return _Row(
        grant.job.scheduled_for,
        grant.job.task_id,
        grant.seq,
        following.state,
        following.reason,
        following.failures,
        following.wait_s,
        attempt.verdict.outcome,
        following.log_status,
        grant.failures,
        attempt.verdict.http_status,
        attempt.verdict.ambiguous,
        attempt.started_at,
        round(attempt.duration_s * 1000),
        attempt.verdict.message,
        attempt.verdict.is_ours,
    )


def _columns(batch: list[_Pending]) -> list[list[Any]]:
    return [list(column) for column in zip(*(pending.row for pending in batch), strict=True)]


def _resolve(batch: list[_Pending], rows: list[asyncpg.Record]) -> None:
    updated = {(row["scheduled_for"], row["task_id"]): row["failures_in_row"] for row in rows}
    for pending in batch:
        if not pending.done.done():
            pending.done.set_result(Recorded(pending.next, pending.key in updated, updated.get(pending.key, 0)))
