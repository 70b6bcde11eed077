"""ADAPTER. What is to be posted, and when: the bench writes it to the file PLAN, a JSON object a line."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

BODY = os.environ["BODY"]
"""What each POST carries, JSON."""
TIMEOUT_S = 10
MAX_RETRIES = 3


class Bell(NamedTuple):
    """One POST; `at` in seconds since 1970."""

    id: str
    url: str
    at: float

    @property
    def instant(self) -> datetime:
        """When it is due."""
        return datetime.fromtimestamp(self.at, UTC)


def planned() -> Iterator[Bell]:
    """All of the plan."""
    for line in Path(os.environ["PLAN"]).read_text().splitlines():
        yield Bell(**json.loads(line))


def headers(bell_id: str) -> dict[str, str]:
    """What a POST says of itself."""
    return {"content-type": "application/json", "webhook-id": bell_id}
