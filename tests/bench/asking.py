"""PURE. How large a history is, and what clients ask of it, each time about another task, name or day."""

from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import NamedTuple
from urllib.parse import quote
from uuid import UUID

NAMES = (
    *("Stand-up", "Backup", "Report", "Reminder", "Digest", "Deploy", "Rotation", "Invoice"),
    *("Heartbeat", "Cleanup", "Release", "Survey", "Lunch", "On-call", "Metrics", "Birthday"),
)
"""What the names of tasks begin with, in turn; then comes the task's number."""
FAVOURED = 200  # one task in so many, the first ones, owes half of all executions
SHORTEST = 3  # characters of a search

FIELDS = (
    "id,name,schedule,timezone,runAt,startsAt,endsAt,webhookUrl,payload,maxRetry,jitterSeconds,catchUp,"
    "expiresAfterSeconds,overlap,status,statusReason,createdAt,updatedAt"
)
"""What is in a task's own row."""


class Size(NamedTuple):
    """How much there is."""

    tasks: int
    executions_a_day: int
    days: int
    """Before today; of today there is as much as of a whole day."""


def is_deleted(number: int) -> bool:
    """Whether the task of this number is: one in a hundred."""
    return number % 100 == 99


class Asker(NamedTuple):
    """Asks at random."""

    random: Random
    size: Size
    today: date

    def number(self, tasks: int) -> int:
        """Of one of the first `tasks` that is not deleted."""
        found = self.random.randrange(tasks)
        return self.number(tasks) if is_deleted(found) else found

    def day(self) -> date:
        """One of the days that are over."""
        return self.today - timedelta(days=self.random.randint(1, self.size.days))


def task(asker: Asker) -> str:
    """One task with all that is shown of it."""
    return f"/api/tasks/{UUID(int=asker.number(asker.size.tasks))}"


def task_alone(asker: Asker) -> str:
    """One task without logs and runs."""
    return f"{task(asker)}?fields={FIELDS}"


def tasks_by_status(asker: Asker) -> str:
    """The newest tasks of a status."""
    return f"/api/tasks?status={asker.random.choice(('ACTIVE', 'INACTIVE', 'FAILED'))}"


def search_by_prefix(asker: Asker) -> str:
    """Tasks whose names begin so."""
    number = asker.number(asker.size.tasks)
    name = f"{NAMES[number % len(NAMES)]} {number}"
    return f"/api/tasks?search={quote(name[: asker.random.randint(SHORTEST, len(name))])}"


def logs_of_task(asker: Asker) -> str:
    """The newest logs of a task; every second time one that has many."""
    tasks = asker.random.choice((asker.size.tasks, asker.size.tasks // FAVOURED))
    return f"/api/tasks/{UUID(int=asker.number(tasks))}/logs"


def all_logs(_: Asker) -> str:
    """The newest of all logs."""
    return "/api/logs"


def logs_by_status_and_day(asker: Asker) -> str:
    """The newest logs of a status and a day."""
    day, status = asker.day(), asker.random.choice(("SUCCESS", "RETRYING", "FAILED"))
    return f"/api/logs?status={status}&dateFrom={day}&dateTo={day}"


def logs_page_100(_: Asker) -> str:
    """Further down."""
    return "/api/logs?page=100"


def failed_in_a_day(asker: Asker) -> str:
    """The newest failed executions of a day."""
    day = asker.day()
    return f"/api/executions?state=failed&dateFrom={day}&dateTo={day}"


LISTS: tuple[Callable[[Asker], str], ...] = (
    tasks_by_status,
    search_by_prefix,
    task,
    logs_of_task,
    all_logs,
    logs_by_status_and_day,
    logs_page_100,
    failed_in_a_day,
)
"""What must be answered from indexes."""
