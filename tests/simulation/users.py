"""What users do through the api: transactions with an id and an effective-from long before they commit."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from simulation.database import Database, Revision
from simulation.owed import HOURS_APART, TICK, VOCABULARY
from simulation.world import START, World

NEW_TERM = frozenset({"schedule", "timezone", "run_at", "starts_at", "ends_at", "status"})
"""A change of these takes a new effective-from."""
LONGEST = timedelta(seconds=9)
"""A statement that takes longer, by the database's clock, is given up, in less than the grace."""
SCHEDULES = (*VOCABULARY, *("*/5 * * * * *", "*/10 * * * * *") * 2, "@reboot")


class Users:
    """All of them, and all replicas of the api."""

    def __init__(self, world: World, database: Database, hint: Callable[[], None]) -> None:
        self.database = database
        self._world = world
        self._hint = hint

    def populate(self, count: int, *, since: datetime) -> None:
        """The tasks that there were before."""
        for _ in range(count):
            age = timedelta(seconds=self._world.random.random() * (START - since).total_seconds())
            self._append(self._new(START - age), self.database.begin())

    def act(self) -> None:
        """Somebody does something."""
        tasks = [task for task in self.database.tasks.values() if task.status != "DELETED"]
        random = self._world.random
        if not tasks or (len(tasks) < 6 and random.random() < 0.2):
            self.write(None)
        else:
            self.write(random.choice(tasks).task_id)

    def pause(self, is_paused: bool) -> None:
        """Pause everything, or go on."""
        self._world.note("users pause" if is_paused else "users resume")
        self.database.write()
        self.database.paused_at = self.database.clock() if is_paused else None
        self._hint()

    def restored(self, database: Database) -> None:
        """Another database answers: what was being written is lost."""
        self.database = database

    def write(self, task_id: UUID | None, change: dict[str, Any] | None = None) -> None:
        """Create a task, or make `change`, or any: one statement of the api, from its lock to its commit."""
        if task_id in self.database.locked or (
            task_id is not None and self.database.tasks[task_id].status == "DELETED"
        ):
            return
        database, xid = self.database, self.database.begin()
        if task_id is None:
            revision = self._new(database.clock())._replace(xid=xid)
        else:
            old = database.tasks[task_id]
            revision = self._revised(old, self._change(old) if change is None else dict(change), xid)
        self.database.locked.add(revision.task_id)
        self._world.note(f"users write {_shown(revision)}")
        late_s = self._world.random.choice((0.001, 0.001, 0.01, 0.5, 2.0, 6.0)) * self._world.random.random()
        began = database.clock()
        self._world.after(late_s, lambda: self._commit(database, revision, xid, began))

    def _commit(self, database: Database, revision: Revision, xid: int, began: datetime) -> None:
        if database is not self.database:
            return
        self.database.locked.discard(revision.task_id)
        if self._world.chance(0.05) or database.clock() - began > LONGEST:
            database.end(xid)
            self._world.note(f"users roll back {_shown(revision)}")
            return
        self._append(revision, xid)
        if self._world.chance(0.25):  # and the same user goes on at once
            self.write(revision.task_id)
        self._hint()

    def _append(self, revision: Revision, xid: int) -> None:
        self.database.append(revision._replace(xid=xid))
        self.database.end(xid)
        self._world.note(f"committed {_shown(revision)}")

    def _new(self, effective_from: datetime) -> Revision:
        random = self._world.random
        task_id = UUID(int=random.getrandbits(128), version=4)
        blank = Revision(
            task_id,
            1,
            effective_from,
            "ACTIVE",
            "discord.com/1",
            "* * * * *",
            "UTC",
            None,
            None,
            None,
            "latest",
            0,
            0,
        )
        changes = {**self._when(), **self._window(), **self._policy()}
        return blank._replace(**changes, status=random.choice(("ACTIVE", "ACTIVE", "ACTIVE", "INACTIVE")))

    def _revised(self, old: Revision, change: dict[str, Any], xid: int) -> Revision:
        if any(getattr(old, name) != value for name, value in change.items() if name in NEW_TERM):
            change["effective_from"] = max(self.database.clock(), old.effective_from + TICK)
        return old._replace(revision=old.revision + 1, xid=xid, **change)

    def _change(self, old: Revision) -> dict[str, Any]:
        random: Random = self._world.random
        what = random.random()
        if what < 0.3:
            return self._when()
        if what < 0.4:
            return self._window()
        if what < 0.6:
            return self._policy()
        if what < 0.9:
            return {"status": "INACTIVE" if old.status == "ACTIVE" else "ACTIVE"}
        return {"status": "DELETED"}

    def _when(self) -> dict[str, Any]:
        random = self._world.random
        if random.random() < 0.15:
            at = self.database.clock() + timedelta(seconds=random.choice((0.2, 3.0, 10.0)) * random.random())
            return {"schedule": None, "run_at": at}
        zone = random.choice(tuple(HOURS_APART))
        return {"schedule": random.choice(SCHEDULES), "run_at": None, "timezone": zone}

    def _window(self) -> dict[str, Any]:
        random, now = self._world.random, self.database.clock()
        if random.random() < 0.6:
            return {"starts_at": None, "ends_at": None}
        start = now + timedelta(seconds=random.randrange(-5, 20))
        return {"starts_at": start, "ends_at": start + timedelta(seconds=random.randrange(1, 60))}

    def _policy(self) -> dict[str, Any]:
        random = self._world.random
        return {
            "destination": f"discord.com/{random.randrange(3)}",
            "catch_up": random.choice(("latest", "latest", "all", "skip")),
            "jitter_s": random.choice((0, 0, 0, 3, 10)),
        }


def _shown(revision: Revision) -> str:
    zone = revision.timezone if revision.schedule else revision.run_at
    return (
        f"{str(revision.task_id)[:8]} r{revision.revision} {revision.status} {revision.schedule} {zone} "
        f"from {revision.effective_from:%H:%M:%S.%f} {revision.catch_up}"
    )
