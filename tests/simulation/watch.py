"""Looks at every statement as it takes effect: nothing early, nothing not owed, no second writer, no hole."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from simulation.database import Database, Execution, Revision
from simulation.owed import TICK, Term, kind, terms, with_next, within
from simulation.server import Client, Request
from simulation.statements import Row
from simulation.world import World
from tocsin_common import topology
from tocsin_common.messages import JobMessage
from tocsin_common.settings import SchedulerSettings

STALE_S = 20.0
"""No leader may write on what it was told longer ago: it reads every 2 s, but may wait for the broker for 10 s."""
SMALLEST_TIER = timedelta(seconds=1)
WRITES = frozenset({"EMIT", "RECORD_MISSED", "FREEZE_GAP", "CLOSE_GAP", "ADOPT_POSITION", "RENEW_LEASE"})
YIELDS_WITHIN_S = 15.0
"""A leader that has lost RabbitMQ leads no more by then, even if it was frozen for a while."""
SLOW = timedelta(seconds=8)
"""What was recent enough when it was decided on may be older by this when its row is written."""


class Watch:
    """What must be true at every moment. `begins_at`: what is owed up to then was dealt with before the world."""

    def __init__(self, world: World, database: Database, settings: SchedulerSettings) -> None:
        self._world = world
        self._settings = settings
        self._grace = timedelta(seconds=settings.catch_up_grace_s)
        self.database = database
        self.begins_at = database.lease.watermark
        self.reboots: list[datetime] = []
        self.announced: set[tuple[datetime, UUID]] = set()
        self.is_without_holes = True
        """False where the faults themselves make holes that are mended later."""
        self.is_restored = self.is_elsewhere = False
        """Another database answers; on another server, what was decided on is decided on again."""
        self.checked_by: Client | None = None
        """Who last compared what it knows with the tables."""
        self.last_reached: Callable[[Client], float] = lambda _: world.now
        """When a process had RabbitMQ last."""
        self._holders: dict[int, str] = {}
        self._term_began_at = world.now
        self._led_until: datetime | None = None
        self._durable = (self.begins_at, 0)
        self._gap_until: datetime | None = None
        self._gap_knows = 0
        """What who decided on it had been told; that holds for whoever works it off."""
        self._has_hole: Client | None = None
        self._has_read_anew = False

    def begin(self) -> None:
        """What the lease says of those who led before."""
        lease = self.database.lease
        if lease.epoch:
            self._holders[lease.epoch], self._led_until = "", lease.expires_at
            self.reboots = [lease.reboot_at] if lease.reboot_at is not None else []

    # What the faults do to it.

    def expect_holes(self, client: Client) -> None:
        """What `client` knows has a hole, which it mends when it compares that with the tables."""
        self.is_without_holes, self.checked_by, self._has_hole, self._has_read_anew = False, None, client, False

    @property
    def are_holes_mended(self) -> bool:
        """Whether it did, and was the last to look. Where it read all tasks anew, nothing shows it the hole."""
        return self.is_without_holes or (self.checked_by is self._has_hole and not self._has_read_anew)

    def restored(self, database: Database, copy: "Watch") -> None:
        """The tables are now those of a backup, made when `copy` was made."""
        self.is_elsewhere = self.database.database_id[0] != database.database_id[0]
        self.database, self.is_restored = database, True
        self.reboots, self._led_until = list(copy.reboots), copy._led_until
        self._holders = dict(copy._holders)
        self._durable, self._gap_until = copy._durable, database.lease.gap_until
        self._gap_knows = copy._gap_knows

    def copy(self) -> "Watch":
        """What a backup made now would know."""
        copy = Watch(self._world, self.database, self._settings)
        copy.reboots, copy._led_until, copy._durable = list(self.reboots), self._led_until, self._durable
        copy._holders, copy._gap_knows = dict(self._holders), self._gap_knows
        return copy

    # What the servers tell.

    def applied(self, request: Request, name: str, rows: list[Row]) -> None:
        """A statement took effect."""
        if name == "TAKE_LEASE" and rows:
            self._check_start(request, rows[0])
        elif name in WRITES and self._has_written(name, rows):
            self._check_leader(request, name)
            self._check_rows(request, name)
            if name == "FREEZE_GAP":
                self._check_gap(request.arguments[2])
                self._gap_knows = request.knows
            self._gap_until = self.database.lease.gap_until
            if name != "RENEW_LEASE":
                self._check_durable()
        elif name == "TALLY":
            self.checked_by = request.client
        elif name == "UNCHANGED" and request.client is self._has_hole:
            self._has_read_anew = True
        elif name == "RELEASE_LEASE" and self.database.lease.holder is None and self._led_until is not None:
            self._led_until = min(self._led_until, self.database.clock())

    def stored(self, queue: str, message: JobMessage) -> None:
        """The broker has a message."""
        for job in message.jobs:
            key = (job.scheduled_for, job.task_id)
            self.announced.add(key)
            row = self.database.executions.get(key)
            if row is None:
                if not self.is_restored:
                    self._problem(f"{key} was announced and has no row")
            elif queue == topology.WORK_QUEUE and row.state == "due" and not row.seq:
                is_early = row.next_at - self._world.latest_now() > SMALLEST_TIER + TICK
                # A row keeps its delay where a later version of the task has another one and owes it again.
                if is_early and len({revision.jitter_s for revision in self._revisions_of(job.task_id)}) == 1:
                    self._problem(f"{key} was announced at once, but is to start at {row.next_at}")

    def _revisions_of(self, task_id: UUID) -> list[Revision]:
        return [revision for revision in self.database.revisions.values() if revision.task_id == task_id]

    def _has_written(self, name: str, rows: list[Row]) -> bool:
        if name == "RECORD_MISSED":
            return bool(self.database.added)
        return bool(rows) and rows[0][0] is not False

    def _check_start(self, request: Request, row: Row) -> None:
        """By its own book-keeping: does scheduling start anew, and is it said so?"""
        now, ttl = row["now"], timedelta(seconds=self._settings.lease_ttl_s)
        epoch = row["epoch"]
        is_its_own = request.arguments[0] == self._holders.get(epoch - 1)
        if self._led_until is not None and self._led_until > now and not is_its_own:
            self._problem(f"{request.client.name} took the lease although another led")
        if self._holders and epoch <= max(self._holders):
            self._problem(f"the epoch {epoch} is not higher than the last")
        self._holders[epoch] = request.arguments[0]
        after = timedelta(seconds=self._settings.reboot_after_s)
        begins_anew = self._led_until is None or self._led_until < now - after
        last = self.reboots[-1] if self.reboots else None
        if begins_anew == (row["reboot_at"] == last):
            self._problem(f"scheduling starts anew: {begins_anew}, but the lease says {row['reboot_at']}")
        if begins_anew and row["reboot_at"] is not None:
            if last is not None and self.database.lease.watermark < last:
                self.reboots.pop()  # it had not been emitted: both starts are one
            self.reboots.append(row["reboot_at"])
        self._led_until = now + ttl
        self._term_began_at = self._world.now

    def _check_leader(self, request: Request, name: str) -> None:
        now, (holder, epoch, *_) = self.database.clock(), request.arguments
        if self._holders.get(epoch) != holder or epoch != max(self._holders):
            self._problem(f"{request.client.name} wrote with the epoch {epoch} of another")
        elif self._led_until is None or self._led_until <= now:
            self._problem(f"{request.client.name} wrote although its lease had expired")
        elif name == "RENEW_LEASE":
            self._led_until = now + timedelta(seconds=self._settings.lease_ttl_s)
            self._check_reach(request.client)

    def _check_reach(self, client: Client) -> None:
        last_reached = self.last_reached(client)
        # Who took the lease without RabbitMQ did so since nobody who reached it wanted the lease.
        if last_reached > self._term_began_at and self._world.now - last_reached > YIELDS_WITHIN_S:
            self._problem(f"{client.name} has led without RabbitMQ since {last_reached:.3f}")

    def _check_gap(self, until: datetime) -> None:
        """What becomes of a gap is decided once, and as of now."""
        if until < self.database.clock() - SLOW:
            self._problem(f"a gap is decided on as of {until}")
        if self._gap_until is not None:
            self._problem(f"a gap was to be decided on as of {self._gap_until}, now it is {until}")

    # Rows.

    def _check_rows(self, request: Request, name: str) -> None:
        if not self.database.added:
            return
        if request.is_told_paused:
            self._problem(f"{request.client.name} wrote rows although it was told of a pause")
        if self._world.now - request.told_at > STALE_S:
            self._problem(f"{request.client.name} wrote rows on what it was told long ago")
        by_task = dict(terms(self.database.revisions.values()))
        for row in self.database.added:
            known = by_task.get(row.task_id, [])
            if name == "EMIT":
                self._check_emitted(request, row, known)
            else:
                self._check_missed(row, known)

    def _check_emitted(self, request: Request, row: Execution, known: list[Term]) -> None:
        instant = row.scheduled_for
        if instant > self._world.latest_now():
            self._problem(f"{instant} was emitted early")
        owing = [term for term in self._owing(request, known, instant) if kind(term.first) == row.kind]
        if not owing:
            self._problem(f"{instant} of {row.task_id} was emitted, but no revision owed it")
            return
        if not any(self._is_jitter_of(row, revision) for term in owing for revision in term.revisions):
            self._problem(f"{instant} of {row.task_id} is delayed by {row.jitter_ms} ms")
        self._check_policy(row, owing)

    def _owing(self, request: Request, known: list[Term], instant: datetime) -> Iterator[Term]:
        """The terms that owed it, as far as who wrote had been told of the next one."""
        for term, following in with_next(known):
            is_superseded = following is not None and following.start <= instant
            if is_superseded and following is not None and self._is_known(request, following.first, instant):
                continue
            if instant >= term.start and instant in term.owed(self.reboots, instant):
                yield term

    def _is_known(self, request: Request, revision: Revision, instant: datetime) -> bool:
        gap_until = self.database.lease.gap_until
        knows = request.knows if gap_until is None or instant > gap_until else self._gap_knows
        was_told = self.database.committed[revision.task_id, revision.revision] <= knows
        return was_told and self.is_without_holes

    def _is_jitter_of(self, row: Execution, revision: Revision) -> bool:
        return 0 <= row.jitter_ms < max(1, 1000 * revision.jitter_s)

    def _check_policy(self, row: Execution, owing: list[Term]) -> None:
        """An instant that was old when it was decided on fires only where its task's policy wants it to."""
        gap_until, instant = self.database.lease.gap_until, row.scheduled_for
        # Where no gap is being worked off the decision was made a little earlier than now.
        recent_from = (self.database.clock() - SLOW if gap_until is None else gap_until) - self._grace
        if instant > recent_from or instant <= self.begins_at:
            return
        policies = {revision.catch_up for term in owing for revision in term.revisions}
        if policies == {"skip"}:
            self._problem(f"{instant} of {row.task_id} was emitted, but its policy is to skip it")
        elif "all" not in policies:
            later = [
                term for term in owing if term.owed(self.reboots, min(term.end, recent_from))[-1:] > [instant]
            ]
            if len(later) == len(owing):
                self._problem(f"{instant} of {row.task_id} was emitted although later ones are owed")

    def _check_missed(self, row: Execution, known: list[Term]) -> None:
        decided_at = self.database.lease.gap_until or self._world.latest_now()
        # Where the newest was emitted the row stands a moment before it.
        instant = row.scheduled_for if row.scheduled_for.microsecond != 999_999 else row.scheduled_for + TICK
        if instant > decided_at - self._grace:
            self._problem(f"{instant} of {row.task_id} is recorded as missed, but is recent")
        owing = [term for term in known if term.start <= instant and instant in term.owed(self.reboots, instant)]
        if not owing:
            self._problem(f"{instant} of {row.task_id} is recorded as missed, but no revision owed it")
        elif all(revision.catch_up != "skip" for term in owing for revision in term.revisions):
            later = [within(term.first, instant + TICK, decided_at, self.reboots) for term in owing]
            if not any(later):
                self._problem(f"{instant} of {row.task_id} is recorded as missed, but is the newest")

    # What must be there once the watermark and the feed's position say so.

    def _check_durable(self) -> None:
        lease = self.database.lease
        reached = (lease.watermark, lease.feed_xid)
        # The ids of another database say nothing of this one's changes.
        if reached == self._durable or not self.is_without_holes or lease.database_id != self.database.database_id:
            return
        for task_id, own in terms(self.database.revisions.values()):
            for term, following in with_next(own):
                if min(revision.xid for revision in term.revisions) < lease.feed_xid:
                    is_over = following is not None and following.first.xid < lease.feed_xid
                    end = term.end if is_over else min(term.end, lease.watermark)
                    self._check_all_there(task_id, term, end)
        self._durable = reached

    def _check_all_there(self, task_id: UUID, term: Term, end: datetime) -> None:
        before, position = self._durable
        is_new = min(revision.xid for revision in term.revisions) >= position or end > before
        if not is_new:
            return
        for instant in term.owed(self.reboots, end):
            if instant > self.begins_at and self.accounts(task_id, instant) < 1:
                self._problem(f"the watermark is {self.database.lease.watermark}, but {instant} has no row")
                return

    def accounts(self, task_id: UUID, instant: datetime) -> int:
        """How many rows say what became of it."""
        rows = self.database.executions
        own = rows.get((instant, task_id))
        if own is not None and own.state != "missed":
            return 1
        return sum(
            row.state == "missed"
            and row.task_id == task_id
            and row.missed_from is not None
            and row.missed_from <= instant <= row.scheduled_for
            for row in rows.values()
        )

    def _problem(self, text: str) -> None:
        self._world.problem(text)
