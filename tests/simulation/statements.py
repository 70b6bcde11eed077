"""What each statement of the scheduler means, on the model's tables. Whatever is not here is not known to it."""

from collections import ChainMap
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

import asyncpg

from simulation.database import BEGINNING, OPEN, Database, Execution, Lease, Revision, Table
from tocsin_dispatcher.scheduler import emission_sql, feed_sql, lease_sql, partition_sql, removal_sql, sweep_sql

TEXTS = ChainMap(*map(vars, (emission_sql, feed_sql, lease_sql, partition_sql, removal_sql, sweep_sql)))
"""By name, among others. What a sampler asks, no world does."""
TICK = timedelta(microseconds=1)

_REVISION = (
    "task_id",
    "revision",
    "effective_from",
    "is_active",
    "destination",
    "schedule",
    "timezone",
    "run_at",
    "starts_at",
    "ends_at",
    "catch_up",
    "jitter_s",
)


class Row:
    """A record: columns by name, by place and by slice."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: dict[str, int], values: Sequence[Any]) -> None:
        self._names = names
        self._values = values

    def __getitem__(self, key: Any) -> Any:
        return self._values[self._names[key] if isinstance(key, str) else key]

    def without_task(self) -> "Row":
        """What stands for a change where there is none."""
        count = len(_REVISION) + 1
        return Row(self._names, (*[None] * count, *self._values[count:]))

    def as_dict(self) -> dict[str, Any]:
        """For comparing."""
        return {name: self._values[place] for name, place in self._names.items()}


def _columns(*names: str) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


Statement = Callable[..., list[Row]]
"""Takes the tables, what is visible and the statement's arguments; leaves the tables as they are afterwards."""

# --- Lease --------------------------------------------------------------------------------------------------

_LEASE = _columns("watermark", "feed_xid", "feed_snapshot", "database_id", "reboot_at", "current_database_id")
_STANDING = _columns(
    "epoch",
    "watermark",
    "feed_xid",
    "feed_snapshot",
    "database_id",
    "gap_until",
    "gap_snapshot",
    "reboot_at",
    "now",
    "current_database_id",
)
_NOW = _columns("now")
_TRUE = _columns("true")


def _lease(database: Database, seen: Table) -> list[Row]:
    lease = seen.lease
    values = (lease.watermark, lease.feed_xid, lease.feed_snapshot, lease.database_id, lease.reboot_at)
    return [Row(_LEASE, (*values, database.database_id))]


def _take_lease(  # noqa: PLR0913, RUF100 - as many as the statement has
    database: Database, _: Table, holder: str, ttl: timedelta, reboot_after: timedelta, free_for: timedelta
) -> list[Row]:
    lease, now = database.lease, database.clock()
    may_begin_anew = lease.holder == holder and not free_for
    if lease.expires_at > now - free_for and not may_begin_anew:
        return []
    database.write()
    if lease.expires_at == BEGINNING or lease.expires_at < now - reboot_after:
        lease.reboot_at = now
    lease.holder, lease.epoch, lease.expires_at = holder, lease.epoch + 1, now + ttl
    feed = (lease.epoch, lease.watermark, lease.feed_xid, lease.feed_snapshot, lease.database_id)
    gap = (lease.gap_until, lease.gap_snapshot)
    return [Row(_STANDING, (*feed, *gap, lease.reboot_at, now, database.database_id))]


def holds(database: Database, holder: str, epoch: int) -> bool:
    """Whether the lease is that leader's, and has not expired."""
    lease = database.lease
    return lease.holder == holder and lease.epoch == epoch and lease.expires_at > database.clock()


def _renew_lease(  # noqa: PLR0913, RUF100 - as many as the statement has
    database: Database,
    _: Table,
    holder: str,
    epoch: int,
    ttl: timedelta,
    tasks: int,
    schedules: int,
    next_due_at: datetime | None,
) -> list[Row]:
    if not holds(database, holder, epoch):
        return []
    database.write()
    lease, now = database.lease, database.clock()
    lease.expires_at, lease.tasks, lease.schedules, lease.next_due_at = now + ttl, tasks, schedules, next_due_at
    return [Row(_NOW, (now,))]


def _release_lease(database: Database, _: Table, holder: str, epoch: int) -> list[Row]:
    lease = database.lease
    if lease.holder == holder and lease.epoch == epoch:
        database.write()
        lease.expires_at, lease.holder = min(lease.expires_at, database.clock()), None
        return [Row(_TRUE, (True,))]
    return []


def _adopt_position(  # noqa: PLR0913, RUF100 - as many as the statement has
    database: Database, _: Table, holder: str, epoch: int, position: int, snapshot: str | None, database_id: str
) -> list[Row]:
    if not holds(database, holder, epoch) or database.database_id != database_id:
        return []
    database.write()
    lease = database.lease
    lease.feed_xid, lease.feed_snapshot, lease.database_id = position, snapshot, database_id
    return [Row(_TRUE, (True,))]


def _freeze_gap(  # noqa: PLR0913, RUF100 - as many as the statement has
    database: Database, _: Table, holder: str, epoch: int, until: datetime, snapshot: str, database_id: str
) -> list[Row]:
    if not holds(database, holder, epoch) or database.database_id != database_id:
        return []
    database.write()
    database.lease.gap_until, database.lease.gap_snapshot = until, snapshot
    return [Row(_TRUE, (True,))]


def _move_position(lease: Lease, position: int, snapshot: str | None) -> None:
    if position >= lease.feed_xid:
        lease.feed_xid, lease.feed_snapshot = position, snapshot


def _close_gap(  # noqa: PLR0913, RUF100 - as many as the statement has
    database: Database, _: Table, holder: str, epoch: int, database_id: str, position: int, snapshot: str | None
) -> list[Row]:
    if not holds(database, holder, epoch) or database.database_id != database_id:
        return []
    database.write()
    lease = database.lease
    lease.watermark = max(lease.watermark, lease.gap_until or lease.watermark)
    lease.gap_until = lease.gap_snapshot = None
    _move_position(lease, position, snapshot)
    return [Row(_TRUE, (True,))]


# --- Snapshot and feed --------------------------------------------------------------------------------------

_TASK = _columns(*_REVISION)
_CHANGE = _columns(*_REVISION, "xid", "next_xid", "now", "snapshot", "database_id", "is_paused")
_BUCKET = _columns("bucket", "tasks", "total")

Since = Callable[[Revision, Any], bool]


def _by_xid(revision: Revision, since: int) -> bool:
    return revision.xid >= since


def _by_effective_from(revision: Revision, since: datetime) -> bool:
    return revision.effective_from > since


def _feed(database: Database, seen: Table, since: int, snapshot: str) -> list[Row]:
    return changes(lambda revision, xid: revision.xid >= xid and not _is_visible(revision.xid, snapshot))(
        database, seen, since
    )


def _is_visible(xid: int, snapshot: str) -> bool:
    xmin, xmax, under_way = snapshot.split(":")
    return xid < int(xmin) or (xid < int(xmax) and str(xid) not in under_way.split(","))


def _disown_revisions(database: Database, _: Table) -> list[Row]:
    database.write()
    for key, revision in database.revisions.items():
        if revision.xid >= database.next_xid:
            database.revisions[key] = revision._replace(xid=0)
    return []


def changes(which: Since) -> Statement:
    """The revisions since then, and where the feed goes on."""

    def run(database: Database, seen: Table, since: Any) -> list[Row]:
        tail = (seen.xmin, database.clock(), seen.text, database.database_id, seen.is_paused)
        found = sorted(revision for revision in seen.revisions.values() if which(revision, since))
        rows = [Row(_CHANGE, (*revision.columns(), revision.xid, *tail)) for revision in found]
        return rows or [Row(_CHANGE, (*[None] * (len(_REVISION) + 1), *tail))]

    return run


def _before(which: Since) -> Statement:
    def run(_: Database, seen: Table, since: Any) -> list[Row]:
        changed = {revision.task_id for revision in seen.revisions.values() if which(revision, since)}
        others = sorted(
            revision
            for revision in seen.revisions.values()
            if revision.task_id in changed and not which(revision, since)
        )
        newest = [list(group)[-1] for _, group in groupby(others, key=lambda revision: revision.task_id)]
        return [Row(_TASK, revision.columns()) for revision in newest]

    return run


def _unchanged(which: Since) -> Statement:
    def run(_: Database, seen: Table, since: Any) -> list[Row]:
        changed = {revision.task_id for revision in seen.revisions.values() if which(revision, since)}
        active = [task for task in seen.tasks.values() if task.status == "ACTIVE" and task.task_id not in changed]
        return [Row(_TASK, task.columns()) for task in active]

    return run


def _tally(_: Database, seen: Table) -> list[Row]:
    buckets: dict[int, list[int]] = {}
    for task in seen.tasks.values():
        if task.status == "ACTIVE":
            buckets.setdefault(task.task_id.bytes[-1], []).append(task.revision)
    return [Row(_BUCKET, (bucket, len(found), sum(found))) for bucket, found in buckets.items()]


def _tasks_in_buckets(_: Database, seen: Table, buckets: list[int]) -> list[Row]:
    return [Row(_TASK, task.columns()) for task in seen.tasks.values() if task.task_id.bytes[-1] in buckets]


# --- Emission and sweep -------------------------------------------------------------------------------------

_EMITTED = _columns("held", "emitted", "now", "is_paused")
_GIVEN_UP = _columns("scheduled_for", "task_id", "destination", "reason", "failures")
_FINISHED = _columns("task_id")
_OVERDUE = _columns("scheduled_for", "task_id", "destination", "state")


def _emit(
    database: Database,
    _: Table,
    holder: str,
    epoch: int,
    watermark: datetime | None,
    position: int,
    *columns: Any,
) -> list[Row]:
    now = database.clock()
    *columns, give_up_after, database_id, snapshot = columns
    if not holds(database, holder, epoch) or database.database_id != database_id:
        return [Row(_EMITTED, (False, 0, now, None))]
    if database.paused_at is not None:
        return [Row(_EMITTED, (True, 0, now, True))]
    emitted = 0
    rows = list(zip(*columns, strict=True))
    _refuse_without_partition(database, [row[0] for row in rows])
    database.write()
    lease = database.lease
    lease.watermark = max(lease.watermark, watermark or lease.watermark)
    _move_position(lease, position, snapshot)
    for scheduled_for, task_id, destination, kind, jitter_ms in rows:
        next_at = scheduled_for + timedelta(milliseconds=jitter_ms)
        row = Execution(scheduled_for, task_id, kind, destination, next_at, now + give_up_after, now)
        row.jitter_ms = jitter_ms
        emitted += database.add(row)
    return [Row(_EMITTED, (True, emitted, now, False))]


def _record_missed(database: Database, _: Table, holder: str, epoch: int, *columns: Any) -> list[Row]:
    *columns, database_id = columns
    rows = list(zip(*columns, strict=True))
    if holds(database, holder, epoch) and database.database_id == database_id:
        database.write()
        made = [row for row in (_missed(database, *each) for each in rows) if row is not None]
        _refuse_without_partition(database, [row.scheduled_for for row in made])
        return [Row(_TRUE, (True,)) for row in made if database.add(row)]
    return []


def _missed(  # noqa: PLR0913, RUF100 - a row of the statement's arguments
    database: Database, task_id: Any, destination: str, kind: str, newest: datetime, oldest: datetime, count: Any
) -> Execution | None:
    known = [
        row
        for row in database.executions.values()
        if row.task_id == task_id and row.kind == kind and oldest <= row.scheduled_for <= newest
    ]
    missed = [row for row in known if row.state == "missed"]
    if any(row.missed_count is None for row in missed) or count is None:
        left = None
    else:
        left = count - len(known) + len(missed) - sum(row.missed_count for row in missed)
    if left is not None and left <= 0:
        return None
    accounted = [row.scheduled_for for row in known if row.state == "missed" or row.scheduled_for == oldest]
    until = max(accounted, default=None)
    now = database.clock()
    own = database.executions.get((newest, task_id))
    place = newest if own is None or own.state == "missed" else newest - TICK
    row = Execution(place, task_id, kind, destination, newest, newest, now, state="missed")
    row.missed_from, row.missed_count = oldest if until is None else until + TICK, left
    return row


def _refuse_without_partition(database: Database, instants: list[datetime]) -> None:
    for instant in instants:
        if not database.has_partition("executions", instant.date()):
            raise asyncpg.CheckViolationError(f"no partition of executions for {instant}")


def _give_up(database: Database, _: Table, holder: str, epoch: int, most_lost: int, limit: int) -> list[Row]:
    if not holds(database, holder, epoch):
        return []
    now = database.clock()
    hopeless = [
        row
        for row in database.executions.values()
        if row.state in OPEN
        and row.next_at <= now
        and (row.give_up_at <= now or (row.state == "running" and row.lost_claims + 1 >= most_lost))
    ]
    hopeless = sorted(hopeless, key=lambda row: row.next_at)[:limit]
    for row in hopeless:
        row.state, row.ended_at = "failed", now
        row.reason = "given up: too old" if row.give_up_at <= now else "given up: lost claims"
    database.write()
    return [
        Row(_GIVEN_UP, (row.scheduled_for, row.task_id, row.destination, row.reason, row.failures))
        for row in hopeless
    ]


def _overdue(
    database: Database, _: Table, holder: str, epoch: int, patience: timedelta, limit: int, claims_only: bool
) -> list[Row]:
    if not holds(database, holder, epoch):
        return []
    now = database.clock()
    found = [
        row
        for row in database.executions.values()
        if row.state in OPEN and row.next_at <= now and row.next_at + _patience(row, patience) <= now
        if not claims_only or (row.state == "running" and row.sweeps == 0)
    ]
    found = sorted(found, key=lambda row: row.next_at)[:limit]
    for row in found:
        row.sweeps = min(row.sweeps + 1, 10)
    database.write()
    return [Row(_OVERDUE, (row.scheduled_for, row.task_id, row.destination, row.state)) for row in found]


def _patience(row: Execution, patience: timedelta) -> timedelta:
    return timedelta(0) if row.state == "running" and row.sweeps == 0 else patience * 2**row.sweeps


def _finish_once(
    database: Database, _: Table, holder: str, epoch: int, limit: int, oldest: datetime | None
) -> list[Row]:
    if not holds(database, holder, epoch):
        return []
    now, ended = database.clock(), []
    for task in sorted(database.tasks.values(), key=lambda task: (task.run_at or now, task.task_id)):
        if task.status == "ACTIVE" and task.run_at is not None and task.run_at <= now:
            row = database.executions.get((task.run_at, task.task_id))
            is_too_old = row is None and oldest is not None and task.run_at < oldest
            if is_too_old or (row is not None and row.state not in OPEN):
                ended.append(task)
    # One that somebody is changing would be waited for; the next sweep finds it again.
    ended = [task for task in ended[:limit] if task.task_id not in database.locked]
    xid = database.begin()
    for task in ended:
        since = max(now, task.effective_from + TICK)
        database.append(
            task._replace(revision=task.revision + 1, status="INACTIVE", effective_from=since, xid=xid)
        )
    database.end(xid)
    return [Row(_FINISHED, (task.task_id,)) for task in ended]


# --- Partitions ---------------------------------------------------------------------------------------------

_PARTITION = _columns("name")
_DAY = _columns("day")


def _make_partitions(database: Database, _: Table, day: date) -> list[Row]:
    made = [name for parent in database.partitions if (name := f"{parent}_{day:%Y%m%d}") not in _all(database)]
    for name in made:
        database.partitions[name.rpartition("_")[0]].append(name)
    return [Row(_PARTITION, (name,)) for name in made]


def _daily_partitions(database: Database, _: Table, __: Sequence[str]) -> list[Row]:
    """No world lasts until one is dropped."""
    return [Row(_DAY, (day,)) for day in sorted({name[-8:] for name in _all(database)})]


def _deleted_tasks(_: Database, __: Table, *___: object) -> list[Row]:
    """No world lasts until one is forgotten, and what is left of one until then is looked at."""
    return []


def _all(database: Database) -> list[str]:
    return [name for names in database.partitions.values() for name in names]


def known() -> dict[str, tuple[str, Statement]]:
    """Each statement with its name; tests spoil one to see that it is noticed."""
    named: dict[str, Statement] = {
        "LEASE": _lease,
        "TAKE_LEASE": _take_lease,
        "RENEW_LEASE": _renew_lease,
        "RELEASE_LEASE": _release_lease,
        "ADOPT_POSITION": _adopt_position,
        "FREEZE_GAP": _freeze_gap,
        "CLOSE_GAP": _close_gap,
        "FEED": _feed,
        "DISOWN_REVISIONS": _disown_revisions,
        "TALLY": _tally,
        "TASKS_IN_BUCKETS": _tasks_in_buckets,
        "EMIT": _emit,
        "RECORD_MISSED": _record_missed,
        "GIVE_UP": _give_up,
        "OVERDUE": _overdue,
        "FINISH_ONCE": _finish_once,
        "MAKE_PARTITIONS": _make_partitions,
        "DAILY_PARTITIONS": _daily_partitions,
        "DELETED_TASKS": _deleted_tasks,
    }
    statements = {TEXTS[name]: (name, statement) for name, statement in named.items()}
    statements[feed_sql.SNAPSHOT_BY_XID.changes] = ("CHANGES", changes(_by_xid))
    statements[feed_sql.SNAPSHOT_BY_EFFECTIVE_FROM.changes] = ("CHANGES", changes(_by_effective_from))
    for snapshot, which in (
        (feed_sql.SNAPSHOT_BY_XID, _by_xid),
        (feed_sql.SNAPSHOT_BY_EFFECTIVE_FROM, _by_effective_from),
    ):
        statements[snapshot.before] = ("BEFORE", _before(which))
        statements[snapshot.unchanged] = ("UNCHANGED", _unchanged(which))
    return statements


def find(statements: dict[str, tuple[str, Statement]], text: str) -> tuple[str, Statement]:
    """The name and the meaning of a statement."""
    if text not in statements:
        raise LookupError(f"say in tests/simulation/statements.py what this means: {text}")
    return statements[text]
