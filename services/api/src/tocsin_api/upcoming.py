"""PURE. When a task runs next, as far as that is known before."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from tocsin_api.preview import YEARS
from tocsin_common import schedule

COUNT = 5


def next_runs(task: Mapping[str, Any], now: datetime) -> list[datetime]:
    """The next COUNT instants, without jitter, that a task's row owes from `now` on.

    None where the task is not active or its schedule is @reboot. It looks as far ahead as a preview does.
    """
    if task["status"] != "ACTIVE":
        return []
    if task["run_at"] is not None:
        return [task["run_at"]] if task["run_at"] > now else []
    start, end = now, now + timedelta(days=YEARS * 366)
    if task["starts_at"] is not None:
        start = max(start, task["starts_at"])
    if task["ends_at"] is not None:
        end = min(end, task["ends_at"])
    coming = schedule.instants(task["schedule"], task["timezone"], start=start)
    return list(islice(takewhile(lambda instant: instant <= end, coming), COUNT))
