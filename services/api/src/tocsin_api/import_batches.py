"""SHELL. What becomes of an import's rows: each batch is judged, compared with what is here, written at once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Raw

from tocsin_api import import_report, old_tasks, task_sql
from tocsin_api.errors import InvalidInputError, ProblemError, Violation
from tocsin_api.import_report import Line, Outcome
from tocsin_api.inputs import read_body
from tocsin_api.old_tasks import OldTask, Wishes
from tocsin_api.postgresql import Row
from tocsin_api.sealed_urls import sealed_columns
from tocsin_api.task_fields import NewTask
from tocsin_api.task_rows import columns
from tocsin_api.task_rules import checks, new_task_rule, parser
from tocsin_common.messages import ScheduleChange
from tocsin_common.sealing import Sealer
from tocsin_common.settings import ImportSettings

MAX_UNKNOWN = 50  # names of columns without a place here that are told
COMPARED = {"name": "name", "schedule": "schedule", "timezone": "timezone", "max_retry": "maxRetry"}
"""Fields by column, beside webhookUrl and payload."""


class Order(NamedTuple):
    """What is to be imported, and how."""

    wishes: Wishes
    file: str = ""
    """`-` is stdin; nothing is the table in OLD_DATABASE_URL."""
    table: str = "tasks"
    dry_run: bool = False
    starts: bool = False
    """What an import has created is started where it was active there, and nothing else is done."""
    since: datetime | None = None


class Batches:
    """Takes batches of rows; remembers which tasks it has seen."""

    def __init__(self, pool: asyncpg.Pool, settings: ImportSettings, sealer: Sealer, order: Order) -> None:
        self._pool = pool
        self._sealer = sealer
        self._order = order
        self._parse = parser(settings)
        self._checks = checks(self._parse, min_interval_s=settings.min_interval_s)
        self._rule = new_task_rule(self._parse)
        self._seen: set[bytes] = set()
        self.counts: Counter[Outcome] = Counter()
        self.unknown: set[str] = set()
        self.changed: ScheduleChange | None = None
        """The last of those that schedulers should know of."""

    async def take(self, first: int, rows: Sequence[str]) -> list[Line]:
        """What became of each row; `first` is the place of the first."""
        read = [self._read(place, row) for place, row in enumerate(rows, first)]
        old = {place: each for place, each in enumerate(read, first) if isinstance(each, OldTask)}
        there = await task_sql.find_tasks(self._pool, [each.task_id for each in old.values()])
        done = await (self._start if self._order.starts else self._create)(old, there)
        lines = [done[place] if isinstance(each, OldTask) else each for place, each in enumerate(read, first)]
        self.counts.update(line.outcome for line in lines)
        return lines

    def _read(self, place: int, row: str) -> OldTask | Line:
        members: dict[str, Raw] = {}
        try:
            members = old_tasks.members(row)
            self.unknown.update(old_tasks.unknown(members)[: MAX_UNKNOWN - len(self.unknown)])
            old = old_tasks.read(members, self._order.wishes)
        except ProblemError as error:
            return import_report.refused(place, error, old_tasks.shown_id(members))
        if old.is_deleted:
            return Line("left out", place, old.id, None, ("it was deleted there",))
        if old.task_id.bytes in self._seen:
            twice = InvalidInputError([Violation("id", "an earlier row has it already")])
            return import_report.refused(place, twice, old.id)
        self._seen.add(old.task_id.bytes)
        return old

    async def _create(self, old: dict[int, OldTask], there: dict[UUID, Row]) -> dict[int, Line]:
        lines: dict[int, Line] = {}
        new: dict[int, NewTask] = {}
        for place, each in old.items():
            try:
                new[place] = read_body("application/json", each.body, NewTask, self._checks, self._rule)
            except ProblemError as error:
                lines[place] = import_report.refused(place, error, each.id)
        wanted = {place: each for place, each in new.items() if old[place].task_id not in there}
        created = await self._add({old[place].task_id: each for place, each in wanted.items()})
        if raced := [old[place].task_id for place in wanted if old[place].task_id not in created]:
            there = there | await task_sql.find_tasks(self._pool, raced)
        for place, fields in new.items():
            line = Line("created", place, old[place].id, old[place].task_id, old[place].remarks)
            if old[place].task_id not in created:
                line = self._compared(line._replace(outcome="exists", says=()), fields, there[old[place].task_id])
            lines[place] = line
        return lines

    async def _add(self, new: dict[UUID, NewTask]) -> set[UUID]:
        if self._order.dry_run or not new:
            return set(new)
        added = await task_sql.add_tasks(
            self._pool,
            {
                task_id: columns(each) | sealed_columns(self._sealer, self._parse(each.webhook_url), task_id)
                for task_id, each in new.items()
            },
        )
        self._remember(dict.fromkeys(added, 1))
        return added

    def _compared(self, line: Line, new: NewTask, row: Row) -> Line:
        """Its status may be another by now; what is to be posted, when and where may not."""
        if row["status"] == "DELETED":
            return line._replace(outcome="deleted")
        differs = [field for column, field in COMPARED.items() if getattr(new, column) != row[column]]
        if row["webhook_url_hash"] not in self._sealer.hashes(new.webhook_url):
            differs.append("webhookUrl")
        if msgspec.json.decode(row["payload"]) != msgspec.json.decode(new.payload):
            differs.append("payload")
        return line._replace(outcome="differs", says=(", ".join(differs),)) if differs else line

    async def _start(self, old: dict[int, OldTask], there: dict[UUID, Row]) -> dict[int, Line]:
        wanted = [each.task_id for each in old.values() if _may_start(each, there.get(each.task_id))]
        started = set(wanted)
        if wanted and not self._order.dry_run:
            revisions = await task_sql.start_tasks(self._pool, wanted, since=self._order.since)
            self._remember(revisions)
            started = set(revisions)
        return {
            place: Line(_outcome_of_start(each, there.get(each.task_id), started), place, each.id, each.task_id)
            for place, each in old.items()
        }

    def _remember(self, revisions: Mapping[UUID, int]) -> None:
        for task_id, revision in revisions.items():
            self.changed = ScheduleChange(task_id=task_id, revision=revision)


def _may_start(old: OldTask, row: Row | None) -> bool:
    return old.was_active and row is not None and row["status"] == "INACTIVE" and row["is_as_made"]


def _outcome_of_start(old: OldTask, row: Row | None, started: set[UUID]) -> Outcome:
    if not old.was_active:
        return "left out"
    if row is None:
        return "missing"
    if old.task_id in started:
        return "started"
    outcomes: dict[str, Outcome] = {"ACTIVE": "active", "DELETED": "deleted"}
    return outcomes.get(row["status"], "changed")
