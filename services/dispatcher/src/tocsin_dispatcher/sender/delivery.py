"""SHELL. One granted execution, from its POST to its next state: post, record, then retry, report or stop."""

from uuid import UUID

import asyncpg
import structlog

from tocsin_common import failpoints
from tocsin_common.database import CONNECTION_ERRORS, DATA_ERRORS
from tocsin_common.messages import execution_id, iso_utc
from tocsin_dispatcher import metrics
from tocsin_dispatcher.publisher import Publisher
from tocsin_dispatcher.sender import sql
from tocsin_dispatcher.sender.claim import Grant
from tocsin_dispatcher.sender.gate import Gate
from tocsin_dispatcher.sender.post import Attempt, NotPosted, Poster
from tocsin_dispatcher.sender.record import Recorded, Recorder
from tocsin_dispatcher.sender.starts import Starts
from tocsin_dispatcher.sender.tiers import Waits

_log = structlog.get_logger(__name__)


class Deliveries:
    """Delivers for one sender."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        gate: Gate,
        starts: Starts,
        poster: Poster,
        recorder: Recorder,
        waits: Waits,
        publisher: Publisher,
        *,
        auto_disable_after: int,
    ) -> None:
        self._pool = pool
        self._gate = gate
        self._starts = starts
        self._poster = poster
        self._recorder = recorder
        self._waits = waits
        self._publisher = publisher
        self._auto_disable_after = auto_disable_after

    async def deliver(self, grant: Grant) -> None:
        """All that a grant entails. If the database goes, the claim runs out, and the sweeper brings it back.

        Runs in a task of its own: whatever is logged in it names the execution.
        """
        _name(grant)
        try:
            done = await self.post_and_record(grant)
        except (asyncpg.PostgresError, *DATA_ERRORS, *CONNECTION_ERRORS) as error:
            # Only the kind: an error's text may hold what a receiver said.
            _log.warning("delivery.broken_off", task_id=str(grant.job.task_id), kind=type(error).__name__)
            return
        finally:
            self._gate.finish(grant)
        if done is not None:
            await self.follow_up(grant, *done)

    async def turn_back(self, grant: Grant) -> None:
        """Its POST is not begun, for this sender stops."""
        _name(grant)
        try:
            await self._gate.leave(grant)
            await self._give_back(grant, 0.0)
        finally:
            self._gate.finish(grant)

    async def post_and_record(self, grant: Grant) -> tuple[Attempt, Recorded] | None:
        """The part that holds a POST slot; None where nothing was posted and the claim was given back."""
        job = grant.job
        try:
            attempt = await self._poster.post(grant, limited_in_row=self._gate.refusals(job.destination))
            await self._starts.few_left()
            if not isinstance(attempt, NotPosted):
                failpoints.reach("sender.answered")
                recording = self._recorder.record(grant, attempt)
                await self._gate.learn(job, attempt)
        finally:
            await self._gate.leave(grant)
        if isinstance(attempt, NotPosted):
            await self._give_back(grant, attempt.wait_s)
            return None
        recorded = await recording
        failpoints.reach("sender.recorded")
        _count(attempt, recorded)
        _report(grant, attempt, recorded)
        return attempt, recorded

    async def follow_up(self, grant: Grant, attempt: Attempt, recorded: Recorded) -> None:
        """What the outcome makes happen elsewhere; the sweeper or the next failure makes up for a failure."""
        try:
            if attempt.verdict.outcome == "gone":
                await self._stop_all_with_url(grant, attempt.verdict.message)
            if recorded.counts and recorded.next.state == "waiting":
                await self._waits.hold([(grant.job, recorded.next.wait_s)])
            elif recorded.counts and recorded.next.state == "failed":
                await self._report_failed(grant, attempt, recorded)
        except CONNECTION_ERRORS as error:
            _log.warning("follow_up.failed", task_id=str(grant.job.task_id), error=repr(error))

    async def _give_back(self, grant: Grant, wait_s: float) -> None:
        try:
            await self._gate.give_back(grant, wait_s)
        except CONNECTION_ERRORS as error:  # the claim runs out
            _log.warning("claim.not_given_back", task_id=str(grant.job.task_id), kind=type(error).__name__)
        else:
            await self._waits.hold([(grant.job, wait_s)])

    async def _report_failed(self, grant: Grant, attempt: Attempt, recorded: Recorded) -> None:
        _log.error("execution.failed", task_id=str(grant.job.task_id), reason=recorded.next.reason)
        await self._publisher.publish_dead(
            grant.job,
            recorded.next.reason or "",
            status=attempt.verdict.http_status,
            failures=recorded.next.failures,
        )
        if 0 < self._auto_disable_after <= recorded.failures_in_row:
            reason = f"{recorded.failures_in_row} executions in a row failed"
            hashes = self._poster.url_hashes(grant)
            await self._stop([(grant.job.task_id, url_hash) for url_hash in hashes], reason)

    async def _stop_all_with_url(self, grant: Grant, message: str) -> None:
        hashes = self._poster.url_hashes(grant)
        for _ in hashes:  # of several keys: one may replace another right after it was read
            rows = await self._pool.fetch(sql.TASKS_WITH_URL, hashes)
            tasks = [(row["id"], row["webhook_url_hash"]) for row in rows]
            await self._stop(tasks, f"the webhook is gone: {message}")

    async def _stop(self, tasks: list[tuple[UUID, bytes]], reason: str) -> None:
        """Those that are active and still have that hash of their URL; a task may be named with several."""
        ids, hashes = [task_id for task_id, _ in tasks], [url_hash for _, url_hash in tasks]
        stopped = await self._pool.fetch(sql.FAIL_TASKS, ids, hashes, [reason] * len(tasks))
        if stopped:
            _log.warning("tasks.failed", tasks=[str(row["id"]) for row in stopped], reason=reason)


def _name(grant: Grant) -> None:
    job = grant.job
    structlog.contextvars.bind_contextvars(execution_id=str(execution_id(job.task_id, job.scheduled_for)))


def _count(attempt: Attempt, recorded: Recorded) -> None:
    metrics.ATTEMPTS.labels(attempt.verdict.outcome).inc()
    if recorded.counts and recorded.next.state in metrics.ENDS:
        metrics.EXECUTIONS_ENDED.labels(recorded.next.state).inc()


def _report(grant: Grant, attempt: Attempt, recorded: Recorded) -> None:
    """The one canonical line of an attempt."""
    job = grant.job
    _log.info(
        "attempt.finished",
        task_id=str(job.task_id),
        scheduled_for=iso_utc(job.scheduled_for),
        destination=job.destination,
        seq=grant.seq,
        outcome=attempt.verdict.outcome,
        http_status=attempt.verdict.http_status,
        message=attempt.verdict.message,
        ambiguous=attempt.verdict.ambiguous,
        lateness_ms=round(grant.lateness_ms(attempt.started_at), 1),
        duration_ms=round(attempt.duration_s * 1000, 1),
        state=recorded.next.state if recorded.counts else "overtaken",
    )
