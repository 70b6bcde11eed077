"""SHELL. A task of each schedule and each catch-up policy, and what their rows should be after outages."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import product
from uuid import UUID

from faults.outage import Left, Missed, Outage, Owes, Rules, left, seconds
from faults.owing import Database, OwingTask, write_tasks
from tocsin_common.messages import execution_id
from tocsin_common.sealing import Sealer

POLICIES = ("latest", "all", "skip")
SCHEDULES: dict[str, Owes] = {
    "* * * * * *": lambda at: True,
    "*/2 * * * * *": lambda at: at.second % 2 == 0,
    **{f"{n} * * * * *": lambda at, n=n: at.second == n for n in range(60)},
}
"""Whenever an outage ends, some were owed just before, some a while ago and some not at all."""

ROWS = "SELECT task_id, scheduled_for, state, missed_from, missed_count FROM executions WHERE scheduled_for <= $1"


class Population:
    """The tasks of one test. They post to `url`."""

    def __init__(self, database: Database, sealer: Sealer, url: str, rules: Rules) -> None:
        self._database = database
        self._sealer = sealer
        self._url = url
        self._rules = rules

    async def create(self, *, age: timedelta = timedelta(0), copies: int = 1) -> None:
        """As if they were so old, and nobody had led since."""
        self._since = await self._database.fetchval("SELECT clock_timestamp() - $1::interval", age)
        await self._database.execute("UPDATE scheduler_lease SET watermark = $1", self._since)
        tasks = [OwingTask(*each) for each in product(SCHEDULES, POLICIES)] * copies
        ids = await write_tasks(self._database, self._sealer, self._url, tasks, self._since)
        self._tasks = dict(zip(ids, tasks, strict=True))

    async def problems(
        self, outages: Sequence[Outage], until: datetime, emitted_before: Mapping[UUID, set[datetime]] = {}
    ) -> list[str]:
        """What is not as it should be of the rows up to `until`, in words."""
        found = await self.found(until)
        expected = self.expected(outages, until, emitted_before)
        return [
            f"{task.schedule} ({task.catch_up}): {_words(found[task_id])}, not {_words(expected[task_id])}"
            for task_id, task in self._tasks.items()
            if found[task_id] != expected[task_id]
        ]

    def expected(
        self, outages: Sequence[Outage], until: datetime, emitted_before: Mapping[UUID, set[datetime]] = {}
    ) -> dict[UUID, Left]:
        """What each task's rows up to `until` should be; those `emitted_before` the outages stay."""
        return {
            task_id: left(
                self._owed(task, until),
                task.catch_up,
                outages,
                self._rules,
                emitted_before.get(task_id, ()),
            )
            for task_id, task in self._tasks.items()
        }

    async def found(self, until: datetime) -> dict[UUID, Left]:
        """What they are. A missed row's range may begin anywhere before the first instant that it stands for."""
        found = {task_id: Left(set(), set()) for task_id in self._tasks}
        for row in await self._database.fetch(ROWS, until):
            fired, missed = found[row["task_id"]]
            if row["state"] == "missed":
                owed = self._owed(self._tasks[row["task_id"]], until)
                oldest = next(at for at in owed if at >= row["missed_from"])
                missed.add(Missed(oldest, row["scheduled_for"], row["missed_count"]))
            else:
                fired.add(row["scheduled_for"])
        return found

    def ids(self, until: datetime) -> set[UUID]:
        """Of all executions that are owed up to `until`, whatever becomes of them."""
        return {
            execution_id(task_id, at) for task_id, task in self._tasks.items() for at in self._owed(task, until)
        }

    @lru_cache  # noqa: B019 - for as long as a test takes
    def _owed(self, task: OwingTask, until: datetime) -> list[datetime]:
        return [at for at in seconds(self._since, until) if SCHEDULES[task.schedule](at)]


def fired_ids(rows: dict[UUID, Left]) -> set[UUID]:
    """Of the executions that fired."""
    return {execution_id(task_id, at) for task_id, (fired, _) in rows.items() for at in fired}


def _words(rows: Left) -> str:
    fired = ", ".join(f"{at:%M:%S}" for at in sorted(rows.fired))
    missed = ", ".join(
        f"{one.number} from {one.oldest:%M:%S} to {one.newest:%M:%S}" for one in sorted(rows.missed)
    )
    return f"fired [{fired}] and missed [{missed}]"
