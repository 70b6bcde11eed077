"""SHELL. What is owed during a run: a steady load on 50 destinations, and bursts."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from faults.matrix.cases import Address
from faults.matrix.edits import Edited
from faults.matrix.fault import Fault
from faults.matrix.lines import RECEIVER_HOSTS
from faults.owing import Database, OwingTask, write_tasks
from tocsin_common.sealing import Sealer
from tocsin_local.oracle import Owed, WatchedTask
from tocsin_local.receiver import Receiver

EVERY_SECOND = "* * * * * *"
NAME = "a task"


def every(seconds: int) -> str:
    """The schedule that comes every so many seconds."""
    return f"*/{seconds} * * * * *"


class Load:
    """The tasks of a run; a webhook for each destination."""

    def __init__(self, receiver: Receiver, through: Callable[[str, str], str]) -> None:
        """`through`: the URL through the line to the receiver, at a host of it."""
        self.webhooks = [receiver.add() for _ in RECEIVER_HOSTS]
        self.tokens = [webhook.token for webhook in self.webhooks]
        self.urls = [
            through(host, webhook.url) for host, webhook in zip(RECEIVER_HOSTS, self.webhooks, strict=True)
        ]
        self.tasks: list[WatchedTask] = []
        """Those that stay as they are."""
        self.edited: list[Edited] = []
        """Those that users change."""
        self.single: list[Owed] = []
        """What is owed besides: runs by hand, and those of tasks that run once."""
        self.addresses: dict[UUID, Address] = {}
        """Of all tasks."""
        self.hostile: set[UUID] = set()
        """Tasks that post to the first webhooks, those that misbehave."""

    async def write(self, database: Database, sealer: Sealer, fault: Fault) -> None:
        """Write the tasks as the api would have; they owe from now on."""
        since: datetime = await database.fetchval("SELECT clock_timestamp()")
        schedules = [EVERY_SECOND] * fault.steady + [every(fault.burst.every_s)] * fault.burst.size
        for n, url in enumerate(self.urls):
            mine = schedules[n :: len(self.urls)]
            tasks = [OwingTask(each, fault.catch_up) for each in mine]
            ids = await write_tasks(database, sealer, url, tasks, since)
            self.tasks += [
                WatchedTask(task_id, NAME, schedule, since) for task_id, schedule in zip(ids, mine, strict=True)
            ]
            webhook_id = self.webhooks[n].webhook_id
            self.addresses |= {task_id: Address(webhook_id, str(task_id)) for task_id in ids}
            self.hostile |= set(ids) if n < fault.hostile else set()

    def of_each_second(self) -> list[WatchedTask]:
        """The tasks of the steady load."""
        return [task for task in self.tasks if task.schedule == EVERY_SECOND]

    def written(self) -> list[WatchedTask]:
        """Those that were there from the start: none that users create."""
        return [task for task in self.tasks if task.name == NAME]

    def changes(self) -> int:
        """How often users have changed tasks."""
        return sum(len(each.granted) - 1 for each in self.edited)
