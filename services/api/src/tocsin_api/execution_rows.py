"""PURE. An execution's row, as an answer shows it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta

from tocsin_api.execution_fields import State
from tocsin_api.moments import Aware
from tocsin_common.messages import execution_id

OPEN = ("due", "waiting", "running")

Kind = Annotated[
    Literal["schedule", "manual", "reboot", "once"],
    Meta(
        title="ExecutionKind",
        description="schedule, manual, reboot or once: why it is owed",
        extra_json_schema={"type": "string"},
    ),
]


class Execution(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One owed occurrence of a task, which is known by `taskId` and `scheduledFor`."""

    execution_id: Annotated[UUID, Meta(description="made of the two; receivers but Discord get it as webhook-id")]
    task_id: Annotated[UUID, Meta(description="whose run it is")]
    task_name: Annotated[str, Meta(description="what that task is called by now")]
    scheduled_for: Annotated[Aware, Meta(description="for when it is owed")]
    kind: Kind
    state: State
    reason: Annotated[str | None, Meta(description="why it ended, where it did not succeed")]
    destination: Annotated[str, Meta(description="what its rate limits hold for; no secret")]
    seq: Annotated[int, Meta(description="how often a sender was granted an attempt")]
    attempts: Annotated[int, Meta(description="POSTs, as the log knows them")]
    lateness_ms: Annotated[
        int | None, Meta(description="when the first attempt began, after scheduledFor and the task's jitter")
    ]
    failures: Annotated[int, Meta(description="attempts that spent a retry; a replay begins anew")]
    next_at: Annotated[
        Aware | None,
        Meta(
            description="from when on it may be attempted, or until when the attempt may take",
            examples=["2026-11-23T08:00:09Z"],
        ),
    ]
    give_up_at: Annotated[
        Aware | None, Meta(description="when it fails for its age", examples=["2026-11-24T08:00:00Z"])
    ]
    created_at: Annotated[Aware, Meta(description="when it was recorded")]
    finished_at: Annotated[Aware | None, Meta(description="when it ended")]
    replayed_at: Annotated[
        Aware | None,
        Meta(description="when it was last brought back", examples=["2026-11-23T18:52:11.021488Z"]),
    ]
    missed_from: Annotated[
        Aware | None,
        Meta(description="of a missed one: the first instant it stands for", examples=["2026-11-23T06:00:00Z"]),
    ]
    missed_count: Annotated[
        int | None, Meta(description="how many instants those are; null: too many to count", examples=[120])
    ]


class Found(NamedTuple):
    """An execution, and what the log knows of its attempts."""

    row: Mapping[str, Any]
    """Of the table, with the name of its task."""
    attempts: int
    first_at: datetime | None
    """When the first one began."""


def shown(found: Found) -> Execution:
    """The execution that a row of the table describes."""
    return Execution(**values(found))


def values(found: Found) -> dict[str, Any]:
    """The fields of an Execution."""
    row = found.row
    computed = {
        "execution_id": execution_id(row["task_id"], row["scheduled_for"]),
        "attempts": found.attempts,
        "lateness_ms": _lateness_ms(row, found.first_at),
    }
    if row["state"] not in OPEN:  # what its columns held while it was open
        computed |= {"next_at": None, "give_up_at": None}
    return {name: computed[name] if name in computed else row[name] for name in Execution.__struct_fields__}


def _lateness_ms(row: Mapping[str, Any], first_at: datetime | None) -> int | None:
    if first_at is None:
        return None
    due_at: datetime = row["scheduled_for"] + timedelta(milliseconds=row["jitter_ms"])
    # A sender's reckoning of the database's time may be behind it by the way of an answer; nothing is early.
    return max(0, (first_at - due_at) // timedelta(milliseconds=1))
