"""SHELL. Users who change, stop and start tasks in the middle of a run, run them by hand, and have some run once.

Each has a task that no other one changes, says which state of it was seen (`If-Match`), and asks again where no
answer comes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from random import Random

import httpx

from faults.matrix import users
from faults.matrix.edits import ACTIVE, Edited, Granted, Wish
from faults.matrix.load import every
from faults.matrix.scene import Scene
from tocsin_local.oracle import Owed

EDITORS = 10
PERIODS_S = (2, 3, 5)
STOPPED = "INACTIVE"
BREAK_S = (0.2, 3.0)
"""From one deed to the next."""
SOON_S = (2, 6)
"""From the creation of a task that runs once to its run."""


class Editor:
    """One of them."""

    def __init__(self, scene: Scene, chance: Random) -> None:
        self._scene = scene
        self._chance = chance
        self._deeds = 0

    async def go_on(self, done: asyncio.Event) -> None:
        """Until all are done."""
        try:
            await self._go_on(done)
        except TimeoutError:  # the fault goes on
            self._scene.problems.append(f"I1: a user got no answer for {users.PATIENCE_S:g} s")

    async def _go_on(self, done: asyncio.Event) -> None:
        wish, asked_at = Wish(ACTIVE, every(self._chance.choice(PERIODS_S))), datetime.now(UTC)
        created = await users.create(self._scene, api=self._api(), schedule=wish.schedule)
        if created is None:
            return
        task, answer = created
        mine = Edited(task, [Granted(wish, asked_at, datetime.now(UTC))])
        self._scene.load.edited.append(mine)
        self._etag = answer.headers["ETag"]
        while not done.is_set():
            await self._chance.choices((self._change, self._run, self._run_once), (4, 1, 1))[0](mine)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._chance.uniform(*BREAK_S)):
                    await done.wait()

    async def _change(self, mine: Edited) -> None:
        """Stop it, start it, or have it come at other times."""
        before, asked_at = mine.granted[-1].wish, datetime.now(UTC)
        status = self._chance.choice((ACTIVE, STOPPED))
        others = [every(period) for period in PERIODS_S if every(period) != before.schedule]
        schedule = self._chance.choice(others) if status == before.status else before.schedule
        wish, path = Wish(status, schedule), f"/api/tasks/{mine.task.task_id}"
        seen = {"If-Match": self._etag}
        answer = await users.ask(self._scene, "PATCH", path, api=self._api(), json=wish._asdict(), headers=seen)
        if answer.status_code == httpx.codes.PRECONDITION_FAILED:  # it was done, and the answer to that was lost
            answer = await users.ask(self._scene, "GET", path, api=self._api())
        if not answer.is_success or Wish(answer.json()["status"], answer.json()["schedule"]) != wish:
            self._scene.problems.append(f"I1: the API does not make it {wish}: {answer.status_code} {answer.text}")
            return
        mine.granted.append(Granted(wish, asked_at, datetime.now(UTC)))
        self._etag = answer.headers["ETag"]

    async def _run(self, mine: Edited) -> None:
        """By hand, whether it is stopped or not."""
        self._deeds += 1
        keyed = {"Idempotency-Key": f"{mine.task.task_id}-{self._deeds}"}
        path = f"/api/tasks/{mine.task.task_id}/run"
        answer = await users.ask(self._scene, "POST", path, api=self._api(), headers=keyed)
        if not answer.is_success:
            self._scene.problems.append(f"I1: the API does not run a task: {answer.status_code} {answer.text}")
            return
        self._scene.load.single.append(Owed(mine.task, datetime.fromisoformat(answer.json()["scheduledFor"])))

    async def _run_once(self, _: Edited) -> None:
        """Another task, soon."""
        run_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=self._chance.randint(*SOON_S))
        created = await users.create(self._scene, api=self._api(), run_at=run_at)
        if created is not None:
            self._scene.load.single.append(Owed(created[0], run_at))

    def _api(self) -> int:
        return self._chance.choice((1, 2))


@asynccontextmanager
async def editing(scene: Scene) -> AsyncIterator[None]:
    """They go on meanwhile; when it ends, each has been answered."""
    done = asyncio.Event()
    async with asyncio.TaskGroup() as at_work:
        for _ in range(EDITORS):
            editor = Editor(scene, Random(scene.chance.random()))  # noqa: S311 - no secret
            at_work.create_task(editor.go_on(done))
        try:
            yield
        finally:
            done.set()


def show(scene: Scene) -> None:
    """That they got something done."""
    scene.saw(scene.load.changes(), "changes of tasks by users")
    scene.saw(len(scene.load.single), "runs by hand, and tasks that run once")
