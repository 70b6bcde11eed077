"""PURE. Messages that no release writes, and what Tocsin owes to each: that it does no harm."""

import gzip
import json
import string
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal, NamedTuple
from uuid import UUID

from tocsin_common.messages import MAX_JOBS, VERSION, iso_utc

End = Literal["dead", "parked", "dropped"]
HUGE_BYTES = 1_000_000
LONG = "".join(Random(7).choices(string.ascii_lowercase, k=3_000))  # noqa: S311 - no secret
"""Longer than what PostgreSQL takes into an index, compressed too."""
DAY = timedelta(days=1)


class Poison(NamedTuple):
    """A message, and where it ends: seen by operators, waiting for another release, or forgotten."""

    name: str
    body: bytes
    end: End
    headers: Mapping[str, Any] = {}
    content_type: str = "application/json"
    content_encoding: str | None = None


def messages(task_id: UUID, now: datetime, chance: Random) -> Iterator[Poison]:
    """One of each kind. The task exists, and is owed at each whole second."""
    yield from _no_job_messages(task_id, now, chance)
    yield from _of_other_releases(task_id, now)
    yield from _of_nothing(task_id, now, chance)


def huge() -> Poison:
    """As large as a bug makes one."""
    return Poison("huge", json.dumps({"version": VERSION, "jobs": "x" * HUGE_BYTES}).encode(), "dead")


def _no_job_messages(task_id: UUID, now: datetime, chance: Random) -> Iterator[Poison]:
    good = _message(_job(task_id, now))
    bodies = {
        "empty": b"",
        "NUL": b"\x00",
        "noise": chance.randbytes(500),
        "half of one": good[: len(good) // 2],
        "deep": b"[" * 50_000,
        "no object": b"null",
        "no jobs": _message(),
        "too many jobs": _message(*[_job(task_id, now)] * (MAX_JOBS + 1)),
        "version 0": _message(_job(task_id, now), version=0),
        "version 10000": _message(_job(task_id, now), version=10_000),
        "version in words": _message(_job(task_id, now), version="one"),
        "a field too many": _message({**_job(task_id, now), "webhookUrl": "https://example.com"}),
        "no task id": _message({**_job(task_id, now), "taskId": "'; DROP TABLE tasks; --"}),
        "no time zone": _message({**_job(task_id, now), "scheduledFor": "2026-01-01T00:00:00"}),
        "before year 1": _message({**_job(task_id, now), "scheduledFor": "0001-01-01T00:00:00+14:00"}),
        "NUL in a text": _message(_job(task_id, now, destination="a\x00b")),
    }
    for name, body in bodies.items():
        yield Poison(name, body, "dead")
    yield Poison("compressed", gzip.compress(good), "dead", content_encoding="gzip")
    yield Poison("pickled", b"\x80\x04N.", "dead", content_type="application/x-python-serialize")


def _of_other_releases(task_id: UUID, now: datetime) -> Iterator[Poison]:
    for version in (VERSION + 1, 9_999):
        yield Poison(f"version {version}", _message(_job(task_id, now), version=version), "parked")
    for parked in (-1, "often", None):
        body = _message(_job(task_id, now), version=VERSION + 1)
        yield Poison(f"parked {parked} times", body, "parked", headers={"parked": parked, "x-odd": parked})


def _of_nothing(task_id: UUID, now: datetime, chance: Random) -> Iterator[Poison]:
    nobody = UUID(int=chance.getrandbits(128), version=4)
    second = now.replace(microsecond=0)
    jobs = {
        "of no task": _job(nobody, second),
        "of no instant of the task": _job(task_id, second + timedelta(seconds=0.5)),
        "of an instant to come": _job(task_id, second + timedelta(seconds=10)),
        "of a day that has no tables": _job(task_id, second - 1000 * DAY),
        "of the last year": _job(task_id, datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=now.tzinfo)),
        "of a strange destination": _job(nobody, second, destination=f"https://{LONG}/1"),
        "of what was posted": _job(task_id, second - timedelta(seconds=3)),
    }
    for name, job in jobs.items():
        yield Poison(name, _message(job), "dropped", content_type="text/html")
    yield Poison("of everything", _message(*jobs.values()), "dropped")


def _job(task_id: UUID, scheduled_for: datetime, destination: str = "https://example.com") -> dict[str, Any]:
    return {"taskId": str(task_id), "scheduledFor": iso_utc(scheduled_for), "destination": destination}


def _message(*jobs: Mapping[str, Any], version: int | str = VERSION) -> bytes:
    return json.dumps({"version": version, "jobs": jobs}).encode()
