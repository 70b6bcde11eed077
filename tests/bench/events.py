"""ADAPTER. What a process has logged: JSON lines with an event, its time and its facts."""

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from tocsin_local import process
from tocsin_local.errors import StackError

POLL_S = 0.05


class Event(NamedTuple):
    """One line of a log."""

    at: datetime
    facts: dict[str, Any]


def all_of(log: Path, event: str) -> Iterator[Event]:
    """Every line of `log` so far that tells of `event`, oldest first."""
    for line in log.read_text(errors="replace").splitlines():
        if f'"{event}"' not in line:
            continue
        facts = json.loads(line)
        if facts["event"] == event:
            yield Event(datetime.fromisoformat(facts["timestamp"]), facts)


async def first(log: Path, event: str, *, timeout_s: float) -> Event:
    """The first line of `log` that tells of `event`; StackError with the log's end after `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            while (found := next(all_of(log, event), None)) is None:  # noqa: ASYNC110 - a file does not tell by itself
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise StackError(f"No {event} within {timeout_s:.0f} s. The end of {log}:\n{process.tail(log)}") from None
    return found
