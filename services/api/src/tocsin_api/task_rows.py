"""PURE. A task's row: what a request puts into it, and what an answer shows of it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw

from tocsin_api.moments import Aware
from tocsin_api.payload import SCHEMA
from tocsin_api.task_fields import CatchUp, NewTask, Overlap, TaskChange

COLUMNS = {"jitter_seconds": "jitter_s", "expires_after_seconds": "expires_after_s"}
"""Columns that are not named as their fields are."""
Status = Annotated[
    Literal["ACTIVE", "INACTIVE", "FAILED"],
    Meta(
        title="TaskStatus",
        description="ACTIVE, INACTIVE or FAILED",
        examples=["ACTIVE"],
        extra_json_schema={"type": "string"},
    ),
]


class Task(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A task as answers show it."""

    id: Annotated[UUID, Meta(description="given by Tocsin; later ones sort after earlier ones")]
    name: Annotated[str, Meta(description="what people call it")]
    schedule: Annotated[str | None, Meta(description="null where runAt stands instead of it")]
    timezone: Annotated[str, Meta(description="the IANA time zone that the schedule means")]
    run_at: Annotated[
        Aware | None,
        Meta(description="the one instant of a task that runs once", examples=["2030-01-31T08:00:00Z"]),
    ]
    starts_at: Annotated[
        Aware | None, Meta(description="before that instant it owes nothing", examples=["2030-01-31T08:00:00Z"])
    ]
    ends_at: Annotated[
        Aware | None, Meta(description="after that instant it owes nothing", examples=["2030-12-24T11:00:00Z"])
    ]
    webhook_url: Annotated[str, Meta(description="masked: the URL itself is a secret")]
    payload: Annotated[Raw, Meta(description="what is posted, as it was sent", extra_json_schema=SCHEMA)]
    max_retry: Annotated[int, Meta(description="so often a failed attempt is repeated")]
    jitter_seconds: Annotated[int, Meta(description="each run begins up to so many seconds later")]
    catch_up: CatchUp
    expires_after_seconds: Annotated[
        int | None,
        Meta(description="what would begin so much later is not sent; null: it never expires", examples=[600]),
    ]
    overlap: Overlap
    status: Status
    status_reason: Annotated[
        str | None,
        Meta(description="why Tocsin stopped the task, where it did", examples=["its one run ended: succeeded"]),
    ]
    created_at: Annotated[Aware, Meta(description="when it was created")]
    updated_at: Annotated[Aware, Meta(description="when it was last changed")]


def columns(fields: NewTask | TaskChange) -> dict[str, object]:
    """The columns that a request decides, but for those of the webhook URL; None clears one."""
    given = {
        COLUMNS.get(name, name): value
        for name, value in msgspec.structs.asdict(fields).items()
        if value is not UNSET and name != "webhook_url"
    }
    # Each stands instead of the other.
    if given.get("schedule") is not None:
        given["run_at"] = None
    if given.get("run_at") is not None:
        given["schedule"] = None
    return given


def shown(row: Mapping[str, Any]) -> Task:
    """The task that a row of the table describes."""
    values = {name: row[COLUMNS.get(name, name)] for name in Task.__struct_fields__ if name != "webhook_url"}
    payload = Raw(row["payload"].encode())
    return Task(**{**values, "webhook_url": row["webhook_url_masked"], "payload": payload})
