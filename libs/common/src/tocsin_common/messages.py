"""PURE. The messages on RabbitMQ and the identity of an execution.

Messages are hints: none carries anything that a row does not have, and none holds a URL or a payload. Each says
which version of its form it has: whatever changes in a form, be it a field that is added, makes another version.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Annotated, Final, Literal
from uuid import UUID, uuid5

import msgspec

VERSION: Final = 1
"""Of job messages. A release that makes another one reads both, and writes this one still."""
MAX_VERSION = 9999  # a larger number is no version
MAX_JOBS = 50  # one claim's worth: a statement of 50 costs a third of 50 statements


class Job(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Announces one execution to the senders."""

    task_id: UUID
    scheduled_for: Annotated[datetime, msgspec.Meta(tz=True)]
    """Aware."""
    destination: str

    @property
    def key(self) -> tuple[datetime, UUID]:
        """Which execution it announces."""
        return self.scheduled_for, self.task_id


class JobMessage(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Up to MAX_JOBS jobs, ordered by destination."""

    jobs: Annotated[list[Job], msgspec.Meta(min_length=1, max_length=MAX_JOBS)]
    version: Literal[1] = VERSION


class ScheduleChange(msgspec.Struct, frozen=True, rename="camel"):
    """A hint that a task has a new revision. The scheduler reads the feed, not this, so any version will do."""

    task_id: UUID
    revision: int
    version: Literal[1] = 1


class UnknownVersionError(msgspec.DecodeError):
    """A message of another release's version, which that release's processes can read."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} is not known here")
        self.version = version


class _Versioned(msgspec.Struct):
    """What a message has in every version."""

    version: Annotated[int, msgspec.Meta(ge=1, le=MAX_VERSION)]


_jobs_decoder = msgspec.json.Decoder(JobMessage)
_version_decoder = msgspec.json.Decoder(_Versioned)


def encode(message: JobMessage | ScheduleChange) -> bytes:
    """JSON, `version` included."""
    return msgspec.json.encode(message)


def decode_jobs(body: bytes) -> JobMessage:
    """Raises msgspec.DecodeError where `body` is no job message of a version that is known here.

    It is an UnknownVersionError where another release may know it. Nothing of the body is in the text but that
    version.
    """
    try:
        message = _jobs_decoder.decode(body)
        for job in message.jobs:
            iso_utc(job.scheduled_for)
    except (UnicodeDecodeError, OverflowError) as error:  # what msgspec lets through: text, and year 0 in UTC
        raise msgspec.DecodeError(str(error)) from error
    except msgspec.ValidationError as error:
        if (version := _version(body)) not in (None, VERSION):
            raise UnknownVersionError(version) from None
        if "unknown field" in str(error):  # its name may be anything, and the text goes into the log
            raise msgspec.DecodeError("an object has a field that is not known here") from None
        raise
    return message


def _version(body: bytes) -> int | None:
    """Of a message in whatever form; None where it has none."""
    try:
        return _version_decoder.decode(body).version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def pack(jobs: Iterable[Job], size: int = MAX_JOBS) -> Iterator[JobMessage]:
    """Split `jobs`, ordered by destination, into messages of at most `size` jobs."""
    ordered = iter(sorted(jobs, key=lambda job: job.destination))
    while chunk := list(islice(ordered, size)):
        yield JobMessage(jobs=chunk)


def iso_utc(instant: datetime) -> str:
    """ISO 8601 with microseconds and `Z`: the one spelling that identities are made of."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@lru_cache(maxsize=1000)  # one execution is named several times while its attempt is under way
def execution_id(task_id: UUID, scheduled_for: datetime) -> UUID:
    """The id of the one execution that `task_id` owes at `scheduled_for`."""
    return uuid5(task_id, iso_utc(scheduled_for))


def log_id(task_id: UUID, scheduled_for: datetime, seq: int) -> UUID:
    """The id of the log row of attempt `seq` of an execution."""
    return uuid5(execution_id(task_id, scheduled_for), str(seq))
