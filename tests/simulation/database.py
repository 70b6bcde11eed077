"""A model of what the scheduler knows of PostgreSQL: tables, transaction ids, snapshots. No statement.

A transaction takes effect at one moment, but for the api's: theirs has an id and an effective-from before it
commits. An integration test holds the model against a real server.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from uuid import UUID

BEGINNING = datetime.min.replace(tzinfo=UTC)
"""What stands for -infinity."""
OPEN = frozenset({"due", "waiting", "running"})


class Revision(NamedTuple):
    """A row of `task_revisions`; the newest of a task is its row of `tasks`."""

    task_id: UUID
    revision: int
    effective_from: datetime
    status: str
    destination: str
    schedule: str | None
    timezone: str
    run_at: datetime | None
    starts_at: datetime | None
    ends_at: datetime | None
    catch_up: str
    jitter_s: int
    xid: int

    def columns(self) -> tuple[Any, ...]:
        """As the statements show it."""
        return (*self[:3], self.status == "ACTIVE", *self[4:12])


class Table(NamedTuple):
    """What a snapshot of the tasks shows."""

    revisions: dict[tuple[UUID, int], Revision]
    tasks: dict[UUID, Revision]
    xmin: int
    """Everything with a lower transaction id is in it."""
    text: str
    """What is in it, as PostgreSQL writes that."""
    lease: "Lease"
    is_paused: bool
    commits: int
    """How many revisions are in it."""


@dataclass(slots=True)
class Lease:
    """The row of `scheduler_lease`."""

    watermark: datetime
    holder: str | None = None
    epoch: int = 0
    expires_at: datetime = BEGINNING
    feed_xid: int = 0
    feed_snapshot: str | None = None
    gap_until: datetime | None = None
    gap_snapshot: str | None = None
    database_id: str | None = None
    reboot_at: datetime | None = None
    tasks: int = 0
    schedules: int = 0
    next_due_at: datetime | None = None


@dataclass(slots=True)
class Execution:
    """A row of `executions`."""

    scheduled_for: datetime
    task_id: UUID
    kind: str
    destination: str
    next_at: datetime
    give_up_at: datetime
    created_at: datetime
    state: str = "due"
    reason: str | None = None
    seq: int = 0
    failures: int = 0
    lost_claims: int = 0
    sweeps: int = 0
    jitter_ms: int = 0
    missed_from: datetime | None = None
    missed_count: int | None = None
    ended_at: datetime = BEGINNING
    """When a sender or a sweep ended it."""


@dataclass(slots=True)
class Database:
    """All tables."""

    clock: Callable[[], datetime]
    lease: Lease
    database_id: str = "1/00000001"
    paused_at: datetime | None = None
    next_xid: int = 700
    writing: set[int] = field(default_factory=set)
    """Transactions that have an id and have not ended."""
    locked: set[UUID] = field(default_factory=set)
    """Tasks that a transaction of the api is changing."""
    revisions: dict[tuple[UUID, int], Revision] = field(default_factory=dict)
    tasks: dict[UUID, Revision] = field(default_factory=dict)
    executions: dict[tuple[datetime, UUID], Execution] = field(default_factory=dict)
    added: list[Execution] = field(default_factory=list)
    """What the last statement inserted."""
    committed: dict[tuple[UUID, int], int] = field(default_factory=dict)
    """The place of each revision in the order in which they were committed."""
    partitions: dict[str, list[str]] = field(default_factory=lambda: {"executions": [], "task_logs": []})

    def begin(self) -> int:
        """A transaction id."""
        xid, self.next_xid = self.next_xid, self.next_xid + 1
        self.writing.add(xid)
        return xid

    def end(self, xid: int) -> None:
        """The transaction has ended, either way."""
        self.writing.discard(xid)

    def write(self) -> None:
        """A statement that writes and commits by itself."""
        self.next_xid += 1

    def append(self, revision: Revision) -> None:
        """What a transaction wrote becomes visible."""
        self.revisions[revision.task_id, revision.revision] = revision
        self.committed[revision.task_id, revision.revision] = len(self.revisions)
        self.tasks[revision.task_id] = revision

    def xmin(self) -> int:
        """The lowest transaction id that is still writing, or the next one."""
        return min(self.writing, default=self.next_xid)

    def _text(self) -> str:
        return f"{self.xmin()}:{self.next_xid}:{','.join(map(str, sorted(self.writing)))}"

    def now_visible(self) -> Table:
        """What a statement sees now."""
        return Table(
            self.revisions,
            self.tasks,
            self.xmin(),
            self._text(),
            self.lease,
            self.paused_at is not None,
            len(self.revisions),
        )

    def snapshot(self) -> Table:
        """What all statements of a transaction see that begins now."""
        seen = self.now_visible()
        return seen._replace(revisions=dict(seen.revisions), tasks=dict(seen.tasks), lease=replace(seen.lease))

    def has_partition(self, parent: str, day: date) -> bool:
        """Whether rows of `day` have a place."""
        return f"{parent}_{day:%Y%m%d}" in self.partitions[parent]

    def add(self, execution: Execution) -> bool:
        """Insert it; False where its key is taken."""
        key = (execution.scheduled_for, execution.task_id)
        if key in self.executions:
            return False
        self.executions[key] = execution
        self.added.append(execution)
        return True

    def copy(self) -> "Database":
        """As a backup holds it: what has not committed is not in it."""
        return replace(
            self,
            lease=replace(self.lease),
            writing=set(),
            locked=set(),
            revisions=dict(self.revisions),
            tasks=dict(self.tasks),
            executions={key: replace(row) for key, row in self.executions.items()},
            added=[],
            committed=dict(self.committed),
            partitions={parent: list(names) for parent, names in self.partitions.items()},
        )
