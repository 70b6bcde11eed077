"""PURE. An execution's row, as an answer shows it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from tocsin_api.execution_fields import State
from tocsin_common.messages import execution_id

OPEN = ("due", "waiting", "running")

Kind = Annotated[
    Literal["schedule", "manual", "reboot", "once"],
    Meta(description="schedule, manual, reboot or once: why it is owed", extra_json_schema={"type": "string"}),
]


class Execution(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One owed occurrence of a task, which is known by `taskId` and `scheduledFor`."""

    execution_id: Annotated[UUID, Meta(description="made of the two; receivers but Discord get it as webhook-id")]
    task_id: UUID
    task_name: str
    scheduled_for: datetime
    kind: Kind
    state: State
    reason: Annotated[str | None, Meta(description="why it ended, where it did not succeed")]
    destination: Annotated[str, Meta(description="what its rate limits hold for; no secret")]
    seq: Annotated[int, Meta(description="how often a sender was granted an attempt")]
    failures: Annotated[int, Meta(description="attempts that spent a retry; a replay begins anew")]
    next_at: Annotated[
        datetime | None, Meta(description="from when on it may be attempted, or until when the attempt may take")
    ]
    give_up_at: Annotated[datetime | None, Meta(description="when it fails for its age")]
    created_at: datetime
    finished_at: datetime | None
    replayed_at: Annotated[datetime | None, Meta(description="when it was last brought back")]
    missed_from: Annotated[datetime | None, Meta(description="of a missed one: the first instant it stands for")]
    missed_count: Annotated[int | None, Meta(description="how many instants those are; null: too many to count")]


def shown(row: Mapping[str, Any]) -> Execution:
    """The execution that a row of the table describes."""
    values = {name: row[name] for name in Execution.__struct_fields__ if name != "execution_id"}
    if row["state"] not in OPEN:  # what its columns held while it was open
        values |= {"next_at": None, "give_up_at": None}
    return Execution(execution_id=execution_id(row["task_id"], row["scheduled_for"]), **values)
